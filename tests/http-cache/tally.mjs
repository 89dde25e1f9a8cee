// Counts the results of the HTTP cache tests as cache-tests.fyi does, says which failed, and fails below the floor.
// node tally.mjs PACKAGE RESULTS REQUIRED OPTIMAL; the last two are the fewest that may pass.

import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { resolve } from 'node:path'

const [folder, results, ...floor] = process.argv.slice(2)
const load = file => import(pathToFileURL(resolve(folder, file)))
const { determineTestResult } = await load('lib/display.mjs')
const suites = [...(await load('tests/index.mjs')).default, (await load('tests/surrogate-control.mjs')).default]
const told = JSON.parse(readFileSync(results, 'utf8'))

// What was passed here, counted the same way, by gates that were run in front of the same tests.
const OTHERS = 'nginx 100/58, Varnish 119/45, Apache httpd 131/68'

const count = { required: [0, 0], optimal: [0, 0], check: [0, 0] }
for (const test of suites.flatMap(suite => suite.tests)) {
  if (test.browser_only) continue
  const kind = test.kind ?? 'required'
  const symbol = determineTestResult(suites, test.id, told)[2]
  const passed = symbol === '✅' || symbol === 'Y'
  count[kind][0] += passed
  count[kind][1] += 1
  if (!passed && kind !== 'check') {
    const why = told[test.id]?.[1] ?? 'a test that it depends on failed'
    console.log(`${kind} ${test.id}: ${symbol} ${why}`)
  }
}
const [required, optimal, behaviours] = [count.required, count.optimal, count.check]
console.log(`test-http-cache: required ${required.join(' of ')}, optimal ${optimal.join(' of ')}, behaviours ${behaviours.join(' of ')} (${OTHERS})`)
if (required[0] < Number(floor[0]) || optimal[0] < Number(floor[1])) {
  console.log(`test-http-cache: FAIL: at least ${floor.join('/')} must pass`)
  process.exit(1)
}
