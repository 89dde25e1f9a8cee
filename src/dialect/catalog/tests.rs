//! Tests of lists of models.

use serde_json::json;

use super::*;

fn one(dialect: Dialect, body: Value) -> Model {
    read(dialect, body).unwrap().remove(0)
}

fn full() -> Model {
    Model {
        id: "me/m:8b".to_owned(),
        created: Some(1_700_000_000),
        owner: Some("me".to_owned()),
        size: Some(5),
        digest: Some("d".to_owned()),
        format: Some("gguf".to_owned()),
        family: Some("llama".to_owned()),
        parameters: Some("8.0B".to_owned()),
        quantization: Some("Q4_0".to_owned()),
        context: None,
        display: None,
    }
}

#[test]
fn a_list_of_ollama_comes_back() {
    let list = [full()];
    assert_eq!(read(Dialect::OllamaTags, write(Dialect::OllamaTags, &list)).unwrap(), list);
}

#[test]
fn openais_list_is_read_with_what_other_servers_add() {
    let model = one(
        Dialect::OpenAiModels,
        json!({"data": [{"id": "m", "created": 7, "owned_by": "o", "max_model_len": 4096, "name": "M"}]}),
    );
    let expected = Model {
        id: "m".to_owned(),
        created: Some(7),
        owner: Some("o".to_owned()),
        context: Some(4096),
        display: Some("M".to_owned()),
        ..Model::default()
    };
    assert_eq!(model, expected);
    let model =
        one(Dialect::OpenAiModels, json!([{"id": "m", "publisher": "p", "arch": "llama", "quantization": "Q4"}]));
    assert_eq!((model.owner.as_deref(), model.family.as_deref()), (Some("p"), Some("llama")));
}

#[test]
fn anthropics_list_is_read() {
    let body = json!({"data": [
        {"id": "c", "display_name": "C", "created_at": "2023-11-14T22:13:20Z", "max_input_tokens": 200},
        {"id": "d", "created_at": "1970-01-01T00:00:00Z"},
    ]});
    let models = read(Dialect::Anthropic, body).unwrap();
    assert_eq!((models[0].created, models[0].context), (Some(1_700_000_000), Some(200)));
    assert_eq!(models[1].created, None, "the epoch means unknown");
}

#[test]
fn geminis_names_lose_their_path_and_get_it_back() {
    let body = json!({"models": [{"name": "models/g", "displayName": "G", "inputTokenLimit": 9}]});
    let models = read(Dialect::GeminiModels, body).unwrap();
    assert_eq!((models[0].id.as_str(), models[0].context), ("g", Some(9)));
    let written = write(Dialect::GeminiModels, &models);
    assert_eq!(written["models"][0]["name"], "models/g");
    assert_eq!(read(Dialect::GeminiModels, written).unwrap(), models);
}

#[test]
fn an_empty_list_may_be_null() {
    assert_eq!(read(Dialect::OpenAiModels, json!({"object": "list", "data": null})), Ok(Vec::new()));
}

#[test]
fn a_list_that_is_none_is_refused() {
    let wrong = |body| read(Dialect::OpenAiModels, body).unwrap_err().path;
    assert_eq!(wrong(json!({"error": "x"})), "data");
    assert_eq!(wrong(json!({"data": [1]})), "data[0]");
    assert_eq!(wrong(json!({"data": [{"id": "a"}, {"object": "model"}]})), "data[1]");
}

#[test]
fn what_is_not_known_is_zero_or_empty() {
    let bare = [Model { id: "m".to_owned(), ..Model::default() }];
    let openai = json!({"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": ""}]});
    assert_eq!(write(Dialect::OpenAiModels, &bare), openai);
    let anthropic = write(Dialect::Anthropic, &bare);
    assert_eq!(anthropic["data"][0]["created_at"], "1970-01-01T00:00:00Z");
    assert_eq!((&anthropic["first_id"], &anthropic["has_more"]), (&json!("m"), &json!(false)));
    let details = json!({
        "parent_model": "", "format": "", "family": "", "families": [], "parameter_size": "", "quantization_level": "",
    });
    let ollama = json!({"models": [{
        "name": "m", "model": "m", "modified_at": "1970-01-01T00:00:00Z", "size": 0, "digest": "", "details": details,
    }]});
    assert_eq!(write(Dialect::OllamaTags, &bare), ollama);
}

#[test]
fn a_model_of_any_list_can_be_shown() {
    let models = [Model { context: Some(9), ..full() }, Model { id: "x".to_owned(), ..Model::default() }];
    let shown = ollama::show("me/m:8b", &models).unwrap();
    assert_eq!(shown["model_info"]["general.architecture"], "llama");
    assert_eq!(shown["model_info"]["llama.context_length"], 9);
    assert_eq!(shown["capabilities"], json!(["completion", "tools"]));
    let shown = ollama::show("x:latest", &models).unwrap();
    assert_eq!(shown["model_info"]["unknown.context_length"], ollama::DEFAULT_CONTEXT);
    assert_eq!(ollama::show("y", &models), None);
}

#[test]
fn nothing_runs_here_and_the_version_is_new_enough() {
    assert_eq!(ollama::ps(), json!({"models": []}));
    let version = ollama::version()["version"].as_str().unwrap().to_owned();
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap()).collect();
    assert!(numbers >= vec![0, 6, 4], "GitHub Copilot asks for 0.6.4");
}

#[test]
fn recorded_lists_are_read_and_can_be_written_in_every_dialect() {
    const TRAFFIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl");
    let Ok(file) = std::fs::read_to_string(TRAFFIC) else {
        eprintln!("skipped: no recorded traffic here");
        return;
    };
    let mut seen = 0;
    for line in file.lines().filter(|line| line.contains(".models\"")) {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let dialect = match exchange["api"].as_str() {
            Some("openai.models") => Dialect::OpenAiModels,
            Some("anthropic.models") => Dialect::Anthropic,
            Some("gemini.models") => Dialect::GeminiModels,
            _ => continue,
        };
        let body: Value = serde_json::from_str(exchange["response"]["body_text"].as_str().unwrap()).unwrap();
        let Some(list) = body.get("data").or_else(|| body.get("models")).and_then(Value::as_array) else {
            continue; // one model asked for by name
        };
        let (id, count) = (&exchange["id"], list.len());
        let models = read(dialect, body).unwrap();
        assert_eq!(models.len(), count, "{id}");
        for other in [Dialect::OpenAiModels, Dialect::Anthropic, Dialect::GeminiModels, Dialect::OllamaTags] {
            let again = read(other, write(other, &models)).unwrap();
            assert!(again.iter().map(|model| &model.id).eq(models.iter().map(|model| &model.id)), "{id}");
        }
        seen += 1;
    }
    eprintln!("{seen} lists");
}
