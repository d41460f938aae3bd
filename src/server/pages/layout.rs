//! The frame of every page: navigation, path, the command that does the same, and a notice of what was just done.

use axum::http::header;
use axum::response::IntoResponse;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::visit::Visit;

/// A page without its frame.
pub(super) struct Page {
    /// What it is about, also in the window's title.
    pub(super) title: String,
    /// Which of the navigation's entries it belongs to.
    pub(super) section: Section,
    /// The pages above it: name and address.
    pub(super) above: Vec<(String, String)>,
    /// What can be done with what it shows, beside the title.
    pub(super) deeds: Markup,
    /// Commands that show or do the same.
    pub(super) commands: Vec<String>,
    /// The content.
    pub(super) body: Markup,
}

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Databases,
    Jobs,
    Schedule,
    Remotes,
    Access,
    Reference,
    /// Outside of it.
    Door,
}

const SECTIONS: [(Section, &str, &str); 6] = [
    (Section::Databases, "Databases", "/"),
    (Section::Jobs, "Jobs", "/jobs"),
    (Section::Schedule, "Schedule", "/schedule"),
    (Section::Remotes, "Remotes", "/remotes"),
    (Section::Access, "Access", "/access"),
    (Section::Reference, "API", "/reference"),
];

impl Page {
    pub(super) fn new(section: Section, title: impl Into<String>, body: Markup) -> Self {
        let title = title.into();
        Self { title, section, above: Vec::new(), deeds: html! {}, commands: Vec::new(), body }
    }

    pub(super) fn below(mut self, name: impl Into<String>, address: impl Into<String>) -> Self {
        self.above.push((name.into(), address.into()));
        self
    }

    pub(super) fn deeds(mut self, deeds: Markup) -> Self {
        self.deeds = deeds;
        self
    }

    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }
}

/// Notices by the words that addresses bring after a change; others are not shown.
fn notice(said: &str) -> Option<&'static str> {
    Some(match said {
        "saved" => "Saved.",
        "tagged" => "Tagged.",
        "untagged" => "The tag is gone. The snapshot stays.",
        "held" => "Held: nothing forgets this snapshot until it is released.",
        "released" => "Released.",
        "forgotten" => "Forgotten. Until prune removes it, it can be brought back.",
        "recalled" => "Brought back.",
        "removed" => "Removed.",
        "out" => "Logged out.",
        "ended" => "The session has ended. Log in to go on where you were.",
        _ => return None,
    })
}

/// A whole document.
pub(super) fn document(visit: Option<&Visit>, page: Page) -> Markup {
    let said = visit.and_then(|visit| visit.asked.get("said")).and_then(notice);
    let is_inside = visit.is_some();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " \u{b7} pagekeep" }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                script src="/script.js" defer {}
            }
            body class=[(!is_inside).then_some("door")] {
                a.skip href="#main" { "Skip to content" }
                @if let Some(visit) = visit { (navigation(visit, page.section)) }
                main #main tabindex="-1" {
                    @if is_inside {
                        header.head {
                            div {
                                @if !page.above.is_empty() {
                                    nav.above aria-label="Path" {
                                        @for (name, address) in &page.above { a href=(address) { (name) } span { "/" } }
                                    }
                                }
                                h1 { (page.title) }
                            }
                            div.deeds { (page.deeds) }
                        }
                    }
                    @if let Some(said) = said { p.notice role="status" { (said) } }
                    (page.body)
                    @if !page.commands.is_empty() {
                        footer.terminal {
                            p { "The same in a terminal" }
                            @for command in &page.commands { pre tabindex="0" { code { (command) } } }
                        }
                    }
                }
            }
        }
    }
}

fn navigation(visit: &Visit, at: Section) -> Markup {
    html! {
        div.side {
            a.brand href="/" { (PreEscaped(include_str!("icon.svg"))) "pagekeep" }
            nav aria-label="Main" {
                @for (section, name, address) in SECTIONS.into_iter().filter(|one| one.0 != Section::Access || visit.may_give_access()) {
                    a href=(address) aria-current=[(section == at).then_some("page")] { (name) }
                }
            }
            div.who {
                @if visit.csrf.is_some() {
                    span title={ "may " (visit.who.scope.name()) } { (visit.who.name) }
                    form method="post" action="/logout" { (secret(visit)) button.quiet type="submit" { "Log out" } }
                } @else {
                    span { "Open on this machine" }
                }
            }
        }
    }
}

/// The hidden field that proves that a form is one of ours.
pub(super) fn secret(visit: &Visit) -> Markup {
    html! { @if let Some(csrf) = &visit.csrf { input type="hidden" name="csrf" value=(csrf); } }
}

/// A form of one button.
pub(super) fn button(visit: &Visit, action: &str, label: &str, class: &str) -> Markup {
    html! {
        form method="post" action=(action) { (secret(visit)) button class=(class) type="submit" { (label) } }
    }
}

/// A document as an answer.
pub(super) fn html(document: Markup) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], document.into_string())
}
