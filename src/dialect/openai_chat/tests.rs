mod plain;
mod reader;
mod request;
mod traffic;
mod writer;
