//! Every route, and the document that describes them. A handler reads what is asked, calls an operation or a procedure, and
//! gives its result; who may ask what is said in its first lines.

mod cluster;
pub(crate) mod databases;
pub(crate) mod diff;
mod download;
mod keeping;
pub(crate) mod place;
mod procedures;
mod proof;
pub(crate) mod query;
pub(crate) mod refs;
pub(crate) mod remotes;
pub(crate) mod schedules;
pub(crate) mod session;
mod short;
pub(crate) mod snapshots;
mod system;
mod upload;
pub(crate) mod work;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Failure;
use super::input::MOST_JSON;
use super::{Server, access, http, pages};

/// What the document says besides its routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "pagekeep",
        description = "Snapshots of SQLite databases: made, listed, asked, compared, downloaded, restored. Every answer is \
                       `{\"success\": true, \"data\": …}` or `{\"success\": false, \"error\": {\"code\", \"message\", \"hint\"}}`.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(super::answer::Refusal)),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
        let components = document.components.get_or_insert_with(Default::default);
        for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
        let either = ["bearer", "basic"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
        document.security = Some(either.into());
    }
}

/// A shared server, as handlers have it.
type Shared = axum::extract::State<Arc<Server>>;

fn all() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
        .routes(routes!(session::me, session::log_in, session::log_out))
        .routes(routes!(databases::list))
        .routes(routes!(databases::one))
        .routes(routes!(databases::stats))
        .routes(routes!(snapshots::list, snapshots::create))
        .routes(routes!(snapshots::one, keeping::forget))
        .routes(routes!(download::download))
        .routes(routes!(upload::upload))
        .routes(routes!(snapshots::restore))
        .routes(routes!(query::query))
        .routes(routes!(diff::diff))
        .routes(routes!(refs::list, refs::set))
        .routes(routes!(refs::delete))
        .routes(routes!(remotes::list, remotes::add))
        .routes(routes!(remotes::remove))
        .routes(routes!(remotes::sync))
        .routes(routes!(keeping::policies, keeping::set, keeping::clear))
        .routes(routes!(keeping::plan))
        .routes(routes!(keeping::apply))
        .routes(routes!(keeping::holds, keeping::hold))
        .routes(routes!(keeping::release))
        .routes(routes!(proof::verify))
        .routes(routes!(proof::scrub))
        .routes(routes!(proof::drills, proof::drill))
        .routes(routes!(proof::doctor))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::one, schedules::set, schedules::remove))
        .routes(routes!(work::list))
        .routes(routes!(work::one))
        .routes(routes!(work::cancel))
        .routes(routes!(work::log))
        .routes(routes!(work::events))
        .routes(routes!(procedures::list))
        .routes(routes!(procedures::call))
        .routes(routes!(cluster::backup))
        .routes(routes!(cluster::restore))
        .routes(routes!(cluster::task))
        .routes(routes!(short::now))
        .routes(routes!(short::config))
        .routes(routes!(short::forget))
}

/// The description of every route, as JSON.
pub fn openapi() -> String {
    let document = all().into_openapi();
    let mut text = document.to_pretty_json().expect("BUG: the description is expressible in JSON");
    text.push('\n');
    text
}

/// All routes, behind the gate.
pub(super) fn router(server: &Arc<Server>) -> Router {
    let (router, document) = all().split_for_parts();
    let text = document.to_json().expect("BUG: the description is expressible in JSON");
    let router: Router<Arc<Server>> = router
        .merge(pages::routes())
        .route("/api/v1/openapi.json", axum::routing::get(system::openapi))
        .fallback(|| async { Failure::not_found("there is nothing here").hint("see GET /api/v1/openapi.json") })
        .method_not_allowed_fallback(|| async {
            Failure::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, "usage", "this cannot be done here")
        })
        .layer(Extension(system::Document(text.into())))
        .layer(DefaultBodyLimit::max(MOST_JSON))
        .layer(from_fn_with_state(Arc::clone(server), access::gate))
        .layer(from_fn_with_state(Arc::clone(server), pages::dress))
        .layer(from_fn_with_state(Arc::clone(server), http::watch));
    router.with_state(Arc::clone(server))
}
