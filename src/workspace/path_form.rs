//! Paths in files that are text: as they are, or, when they are not UTF-8, as hexadecimal digits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::format::record::PathText;

pub(in crate::workspace) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    PathText::new(path).serialize(serializer)
}

pub(in crate::workspace) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    PathText::deserialize(deserializer)?.to_path().map_err(serde::de::Error::custom)
}

/// A path that may be absent.
pub(super) mod optional {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(PathText::new).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        let text = Option::<PathText>::deserialize(deserializer)?;
        text.map(|text| text.to_path().map_err(serde::de::Error::custom)).transpose()
    }
}

/// A map by path, as a list of pairs: the keys of JSON's objects are text.
pub(super) mod pairs {
    use super::*;

    pub(in super::super) fn serialize<V: Serialize, S: Serializer>(
        map: &BTreeMap<PathBuf, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter().map(|(path, value)| (PathText::new(path), value)))
    }

    pub(in super::super) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<PathBuf, V>, D::Error> {
        let pairs = Vec::<(PathText, V)>::deserialize(deserializer)?;
        let pair = |(path, value): (PathText, V)| Ok((path.to_path().map_err(serde::de::Error::custom)?, value));
        pairs.into_iter().map(pair).collect()
    }
}
