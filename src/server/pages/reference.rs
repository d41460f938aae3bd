//! The API as a page: every route with what it takes, from the same document that programs read.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::layout::{Page, Section};
use super::visit::Visit;
use crate::server::answer::Failure;
use crate::server::routes::openapi;

/// The reference. Its twin is the document itself.
pub(super) async fn show(visit: Visit) -> Result<Response, Failure> {
    let document: Value = serde_json::from_str(&openapi()).map_err(|_| Failure::ours("the description is not JSON"))?;
    Ok(visit.show(document, |_, document| {
        let deeds = html! { a.button href="/api/v1/openapi.json" { "openapi.json" } };
        Page::new(Section::Reference, "API", view(document))
            .deeds(deeds)
            .command("curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:7070/api/v1/databases")
    }))
}

/// A method, its path, and what the document says of it.
type Route<'a> = (String, String, &'a Value);

/// The routes of each tag, in the document's order.
fn by_tag(document: &Value) -> Vec<(String, Vec<Route<'_>>)> {
    let mut tags: Vec<(String, Vec<Route<'_>>)> = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, route) in methods.as_object().into_iter().flatten() {
            let tag = route["tags"][0].as_str().unwrap_or("other").to_owned();
            let entry = (method.to_uppercase(), path.clone(), route);
            match tags.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, routes)) => routes.push(entry),
                None => tags.push((tag, vec![entry])),
            }
        }
    }
    tags
}

fn view(document: &Value) -> Markup {
    let tags = by_tag(document);
    html! {
        p { (document["info"]["description"].as_str().unwrap_or_default()) }
        nav.tabs aria-label="Parts" { @for (tag, _) in &tags { a href={ "#" (tag) } { (tag) } } }
        @for (tag, routes) in &tags {
            h2 id=(tag) { (tag) }
            @for (method, path, route) in routes { (one(document, method, path, route)) }
        }
    }
}

fn one(document: &Value, method: &str, path: &str, route: &Value) -> Markup {
    let parameters: Vec<&Value> = route["parameters"].as_array().into_iter().flatten().collect();
    let body = &route["requestBody"]["content"]["application/json"]["schema"];
    html! {
        details.route {
            summary { span class={ "method " (method.to_lowercase()) } { (method) } code { (path) } span.muted { (first_line(route)) } }
            @if let Some(text) = route["description"].as_str() { p { (text) } }
            @if !parameters.is_empty() { table {
                thead { tr { th { "Parameter" } th { "In" } th { "Type" } th { "Meaning" } } }
                tbody { @for one in parameters { tr {
                    td { code { (one["name"].as_str().unwrap_or_default()) } @if one["required"] == true { " *" } }
                    td { (one["in"].as_str().unwrap_or_default()) }
                    td { (kind(&one["schema"])) }
                    td.wide { (one["description"].as_str().unwrap_or_default()) }
                } } }
            } }
            @if let Some(fields) = fields(document, body) { h4 { "Body" } (fields_table(&fields)) }
            @for (status, answer) in route["responses"].as_object().into_iter().flatten() {
                @let schema = &answer["content"]["application/json"]["schema"];
                h4 { "Answer " (status) span.muted { " " (answer["description"].as_str().unwrap_or_default()) } }
                @if let Some(fields) = data_of(document, schema) { (fields_table(&fields)) } @else { p.muted { (kind(schema)) } }
            }
        }
    }
}

fn fields_table(fields: &Map<String, Value>) -> Markup {
    html! { table { tbody { @for (name, schema) in fields { tr {
        td { code { (name) } } td { (kind(schema)) } td.wide { (schema["description"].as_str().unwrap_or_default()) }
    } } } } }
}

fn first_line(route: &Value) -> &str {
    route["summary"].as_str().unwrap_or_default()
}

/// What a reference stands for.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or(&Value::Null),
        None => schema,
    }
}

fn fields(document: &Value, schema: &Value) -> Option<Map<String, Value>> {
    resolved(document, schema)["properties"].as_object().filter(|fields| !fields.is_empty()).cloned()
}

/// The fields of what is in `data`, of one when it is a list.
fn data_of(document: &Value, schema: &Value) -> Option<Map<String, Value>> {
    let whole = fields(document, schema)?;
    let Some(data) = whole.get("data") else { return Some(whole) };
    let data = resolved(document, data);
    let data = if data["items"].is_object() { resolved(document, &data["items"]) } else { data };
    fields(document, data)
}

/// A type in a word.
fn kind(schema: &Value) -> String {
    if let Some(path) = schema["$ref"].as_str() {
        return path.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let options: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !options.is_empty() {
        return options.join(" | ");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect::<Vec<_>>().join(" | ")
        }
        _ => schema["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .map(kind)
            .find(|name| !name.is_empty() && name != "null")
            .unwrap_or_default(),
    }
}
