//! Tests of the chat codec: by claim, and over recorded traffic.

mod plain;
mod reader;
mod request;
mod traffic;
mod writer;
