//! Remotes: opened by their names or by an address, and forgotten.

use super::{Context, Database, OpError, borrowed};
use crate::base::{Name, Nonce};
use crate::remote::{OpenOptions, Remote, RemoteUrl, UrlError, open};
use crate::store::{Store, StoreError};

/// A remote that was opened, not yet contacted.
#[derive(Clone, Debug)]
pub struct OpenRemote {
    /// Its name here, when it has one.
    pub name: Option<Name>,
    /// Its address, without secrets.
    pub url: String,
    /// What lies there.
    pub store: Store,
    /// Where the credentials came from.
    pub credentials: String,
}

/// Whether a store lies on this machine's file systems, so that reading it costs no request.
pub fn is_near(store: &Store) -> bool {
    store.remote().local_folder().is_some()
}

impl Context {
    /// Understands an address.
    ///
    /// # Errors
    /// When it is none, or holds what belongs elsewhere.
    pub fn parse_url(&self, text: &str) -> Result<RemoteUrl, OpError> {
        RemoteUrl::parse(text, &self.current_folder).map_err(|source| {
            // A text that holds a secret must not be repeated.
            let secret = matches!(source, UrlError::Credentials { .. });
            OpError::Url { text: if secret { "(not shown)".into() } else { text.to_owned() }, source }
        })
    }

    /// Opens what lies at an address, without contacting it. With `create`, the folder of a `file:` address is made.
    ///
    /// # Errors
    /// When credentials or the folder are missing.
    pub fn open_url(&self, url: &RemoteUrl, create: bool) -> Result<OpenRemote, OpError> {
        match url.as_folder() {
            Some(folder) => self.may_use(folder)?,
            None => self.reach.check_address()?,
        }
        self.open_known(url, create)
    }

    /// As [`Context::open_url`], of what is configured already: whoever did that might.
    fn open_known(&self, url: &RemoteUrl, create: bool) -> Result<OpenRemote, OpError> {
        let options = OpenOptions { create, ..self.patience.clone() };
        let fail = |source| OpError::Open { url: url.to_string(), source };
        let opened = open(url, &self.environment, &options).map_err(fail)?;
        let remote = match url.as_folder() {
            Some(folder) => Remote::folder(folder).map_err(crate::store::StoreError::from)?,
            None => Remote::new(opened.store, opened.prefix, &url.to_string()),
        };
        let credentials = opened.credential_source;
        let store = Store::assume(remote).mandated(self.mandate.clone());
        Ok(OpenRemote { name: None, url: url.to_string(), store, credentials })
    }
}

impl Context {
    /// Opens what lies at an address that is to be synced with under no name: the store is made when there is none, and
    /// the place is probed when it is not a folder of this machine.
    ///
    /// # Errors
    /// When it cannot be reached or written to.
    pub fn open_to_sync(&self, url: &RemoteUrl) -> Result<OpenRemote, OpError> {
        let opened = self.open_url(url, true)?;
        let store = match self.look_at(opened.store.clone()) {
            Err(OpError::Store(StoreError::NoStore { .. })) => opened.store.clone(),
            other => other?,
        };
        let (store, _) = Store::create(store.remote().clone(), self.now(), &self.tool)?;
        let keeps = is_near(&store) || store.keeps_first_writer(&Nonce::fresh())?;
        let store = if keeps { store } else { store.overwriting() };
        Ok(OpenRemote { store: store.mandated(self.mandate.clone()), ..opened })
    }
}

/// A remote that was forgotten.
#[derive(Clone, Debug)]
pub struct RemovedRemote {
    /// Its name.
    pub name: Name,
    /// Its address, where everything stays.
    pub url: String,
    /// What the store here lacks now.
    pub warnings: Vec<String>,
}

impl Database {
    /// The remotes' names.
    pub fn remote_names(&self) -> Vec<Name> {
        self.workspace.config.remotes.keys().cloned().collect()
    }

    /// Opens a remote by its name, without contacting it.
    ///
    /// # Errors
    /// When there is none of this name, or credentials are missing.
    pub fn open_remote(&self, context: &Context, name: &str) -> Result<OpenRemote, OpError> {
        let remotes = &self.workspace.config.remotes;
        let found = Name::new(name).ok().and_then(|name| remotes.get_key_value(&name));
        let Some((name, config)) = found else {
            return Err(self.no_backup(name));
        };
        let url = context.parse_url(&config.url)?;
        let opened = context.open_known(&url, false)?;
        let store = if config.conditional_put { opened.store } else { opened.store.overwriting() };
        let store = match &config.encryption {
            Some(how) => {
                let border = self.sealed(context, name, how, store.remote().raw());
                store.across(border)
            }
            None => store,
        };
        Ok(OpenRemote { name: Some(name.clone()), store: store.known_as(config.store_id.clone()), ..opened })
    }

    /// Forgets a remote, whatever lies there.
    ///
    /// # Errors
    /// When there is none of this name, or what is remembered cannot be written.
    pub fn remove_remote(&mut self, context: &Context, name: &str) -> Result<RemovedRemote, OpError> {
        let found = self.workspace.change(|config| -> Result<_, OpError> {
            config.retention.remove(name);
            Ok(Name::new(name).ok().and_then(|name| config.remotes.remove_entry(&name)))
        })?;
        let (name, config) = found.ok_or_else(|| self.no_backup(name))?;
        self.workspace.forget_remote(&name)?;
        let warnings = self.do_without(context, &config.url)?;
        Ok(RemovedRemote { name, url: config.url, warnings })
    }

    /// Once the last remote is gone: what is to be told of what the store here lacks, of each database of the folder, whose
    /// remote it was. A state that cannot be restored is looked at anew, so that the next run makes a snapshot of it.
    fn do_without(&self, context: &Context, url: &str) -> Result<Vec<String>, OpError> {
        let databases = &self.workspace.config.databases;
        let mut warnings = Vec::new();
        if !self.workspace.config.remotes.is_empty() {
            return Ok(warnings);
        }
        for handle in databases.keys() {
            let kept = Database::kept(self.workspace.clone(), handle.clone(), self.settings.clone())?;
            // Nothing is wrong with a snapshot that cannot be read here: who removes a remote is not kept from it.
            let lacking = borrowed(context, &kept);
            if let (Some(mut memory), Ok(1..) | Err(_)) = (self.workspace.recall_database(handle), &lacking) {
                memory.seen.clear();
                self.workspace.remember_database(handle, &memory)?;
            }
            let packs = match lacking.unwrap_or(0) {
                0 => continue,
                1 => format!("1 pack of the newest snapshot of {handle}, which lies"),
                lacking => format!("{lacking} packs of the newest snapshot of {handle}, which lie"),
            };
            let which = if databases.len() > 1 { format!(" --db {handle}") } else { String::new() };
            warnings.push(format!(
                "the store here lacks {packs} there: pagekeep{which} backup restore {url} FILE; the next snapshot stores all anew"
            ));
        }
        Ok(warnings)
    }

    fn no_backup(&self, name: &str) -> OpError {
        let known = self.remote_names().iter().map(Name::to_string).collect();
        OpError::NoBackup { name: name.to_owned(), known }
    }

    /// The stores of all remotes, the nearest first: where packs are looked for that the local store no longer has. One that
    /// cannot be opened is left out: it may not be needed.
    pub fn remote_stores(&self, context: &Context) -> Vec<Store> {
        let opened = self.remote_names().into_iter().filter_map(|name| self.open_remote(context, name.as_str()).ok());
        let mut stores: Vec<Store> = opened.map(|remote| remote.store).collect();
        stores.sort_by_key(|store| !is_near(store));
        stores
    }

    /// The stores from which old content can be read at the cost of a file: the local one, and remotes that are folders.
    ///
    /// # Errors
    /// When the local store cannot be opened. A remote that cannot be is left out.
    pub fn near_stores(&self, context: &Context) -> Result<Vec<Store>, OpError> {
        let mut stores = vec![self.local_store(context)?];
        for name in self.remote_names() {
            if let Ok(remote) = self.open_remote(context, name.as_str())
                && is_near(&remote.store)
            {
                stores.push(remote.store);
            }
        }
        Ok(stores)
    }
}
