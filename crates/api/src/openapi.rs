//! The operations of `/api/v1` as data: one list makes the router, the permissions and the OpenAPI
//! document, so that they cannot drift apart.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Map, Value, json};
use tacit_model::api::Role;

use crate::caller::{Gate, require};
use crate::edge::App;
use crate::reach::About;

mod schemas;

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    method: Method,
    /// Path below `/api/v1`, in the form that router and document share: `/groups/{gid}`.
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    role: Option<Role>,
    query: &'static [(&'static str, &'static str)],
    body: Option<&'static str>,
    at_most: Option<usize>,
    answer: Option<&'static str>,
    created: bool,
    stream: Option<&'static str>,
    quiet: bool,
}

impl Op {
    fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            role: None,
            query: &[],
            body: None,
            at_most: None,
            answer: None,
            created: false,
            stream: None,
            quiet: false,
        }
    }

    pub(crate) fn get(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::GET, path, id, summary)
    }

    pub(crate) fn post(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::POST, path, id, summary)
    }

    pub(crate) fn put(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::PUT, path, id, summary)
    }

    pub(crate) fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::DELETE, path, id, summary)
    }

    /// Who may; without this everybody may.
    pub(crate) fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// Names and meanings of the arguments in the query.
    pub(crate) fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }

    /// The schema of the body.
    pub(crate) fn body(mut self, schema: &'static str) -> Self {
        self.body = Some(schema);
        self
    }

    /// The longest body in bytes, where that is less than the edge takes: what strangers may send is held in memory.
    pub(crate) fn at_most(mut self, bytes: usize) -> Self {
        self.at_most = Some(bytes);
        self
    }

    /// The schema of the answer; without this it has none (204).
    pub(crate) fn answer(mut self, schema: &'static str) -> Self {
        self.answer = Some(schema);
        self
    }

    /// The answer is a stream of this type.
    pub(crate) fn stream(mut self, kind: &'static str) -> Self {
        self.stream = Some(kind);
        self
    }

    /// Changes data, not the node: the audit log does not name each call.
    pub(crate) fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The answer is 201.
    pub(crate) fn created(mut self) -> Self {
        self.created = true;
        self
    }
}

/// Base of all operations.
pub(crate) const BASE: &str = "/api/v1";

/// Operations with their handlers.
pub(crate) struct Operations {
    app: Option<App>,
    routes: BTreeMap<&'static str, MethodRouter<App>>,
    list: Vec<Op>,
}

impl Operations {
    /// Nothing yet. Without an app the operations can be listed but not served.
    pub(crate) fn new(app: Option<&App>) -> Self {
        Self { app: app.cloned(), routes: BTreeMap::new(), list: Vec::new() }
    }

    pub(crate) fn add<H, T>(mut self, op: Op, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        if let (Some(app), Ok(filter)) = (&self.app, MethodFilter::try_from(op.method.clone())) {
            let mut route = on(filter, handler);
            if let Some(role) = op.role {
                let logged = (!op.quiet && op.method != Method::GET).then_some(op.id);
                let about = About::of(&op.method, op.path);
                let (asks, streams) = (About::is_for_askers(&op.method, op.path), op.stream.is_some());
                let gate = Gate { app: app.clone(), role, logged, about, asks, streams };
                route = route.route_layer(from_fn_with_state(gate, require));
            }
            if let Some(bytes) = op.at_most {
                let bytes = bytes.min(app.edge.options.body_limit);
                route = route.route_layer(DefaultBodyLimit::max(bytes));
            }
            let before = self.routes.remove(op.path).unwrap_or_default();
            self.routes.insert(op.path, before.merge(route));
        }
        self.list.push(op);
        self
    }

    pub(crate) fn into_router(self) -> Router<App> {
        let mut router = Router::new();
        for (path, route) in self.routes {
            router = router.route(&format!("{BASE}{path}"), route);
        }
        router
    }

    /// The OpenAPI document of these operations.
    pub(crate) fn document(&self) -> Value {
        let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for op in &self.list {
            let path = paths.entry(format!("{BASE}{}", op.path)).or_default();
            path.insert(op.method.as_str().to_ascii_lowercase(), describe(op));
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Tacit",
                "version": "1",
                "summary": "Common results without showing anybody's data",
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/" }],
            "paths": paths,
            "components": {
                "schemas": schemas::all(),
                "responses": { "Problem": {
                    "description": "Refused; nothing changed",
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
                } },
                "securitySchemes": { "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "A token of `tacit init` or of POST /api/v1/tokens",
                } },
            },
        })
    }
}

fn describe(op: &Op) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let mut parameters: Vec<Value> = path_names(op.path)
        .map(|name| {
            let kind = if ["gid", "run", "number"].contains(&name) { "integer" } else { "string" };
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": kind } })
        })
        .collect();
    parameters.extend(op.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "string" } })
    }));
    let good = match (op.answer, op.created) {
        _ if let Some(kind) = op.stream => {
            ("200", json!({ "description": "Done", "content": { kind: { "schema": { "type": "string" } } } }))
        }
        (None, _) => ("204", json!({ "description": "Done" })),
        (Some(name), created) => (
            if created { "201" } else { "200" },
            json!({ "description": "Done", "content": { "application/json": { "schema": reference(name) } } }),
        ),
    };
    let mut responses = Map::new();
    responses.insert(good.0.to_owned(), good.1);
    responses.insert("4XX".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    responses.insert("5XX".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    let mut out = Map::new();
    out.insert("operationId".to_owned(), json!(op.id));
    out.insert("summary".to_owned(), json!(op.summary));
    if !parameters.is_empty() {
        out.insert("parameters".to_owned(), json!(parameters));
    }
    if let Some(name) = op.body {
        let content = json!({ "application/json": { "schema": reference(name) } });
        out.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    out.insert("responses".to_owned(), Value::Object(responses));
    match op.role {
        Some(role) => {
            out.insert("security".to_owned(), json!([{ "token": [] }]));
            out.insert("x-role".to_owned(), json!(role.word()));
        }
        None => {
            out.insert("security".to_owned(), json!([]));
        }
    }
    Value::Object(out)
}

fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}
