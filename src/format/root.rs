//! The Merkle root of a file: one hash that stands for all its chunk ids, their order, and its length.
//!
//! Level 0 are the chunk ids. A node of level n+1 is BLAKE3 of the byte n+1 followed by up to 1024 nodes of
//! level n, until one node is left. The root is BLAKE3 of the byte 255, the file's length and the chunk size
//! (u64 and u32, little-endian), and that last node, which an empty file does not have. FORMAT.md, "Root".

use crate::base::{ChunkId, RootHash};

/// Children of one node.
pub const FAN_OUT: usize = 1024;

/// Computes a root from chunk ids given in order; memory is 32 bytes per 1024 chunks.
#[derive(Clone, Debug)]
pub struct RootBuilder {
    /// Finished nodes of level 1.
    nodes: Vec<[u8; 32]>,
    open: blake3::Hasher,
    open_children: usize,
}

impl Default for RootBuilder {
    fn default() -> Self {
        Self { nodes: Vec::new(), open: new_node(1), open_children: 0 }
    }
}

impl RootBuilder {
    /// No chunk yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next chunk's id.
    pub fn push(&mut self, id: &ChunkId) {
        self.open.update(id.as_bytes());
        self.open_children += 1;
        if self.open_children == FAN_OUT {
            self.close_node();
        }
    }

    fn close_node(&mut self) {
        let full = std::mem::replace(&mut self.open, new_node(1));
        self.nodes.push(*full.finalize().as_bytes());
        self.open_children = 0;
    }

    /// The root of a file of `size_bytes` cut into chunks of `chunk_bytes`.
    pub fn finish(mut self, size_bytes: u64, chunk_bytes: u32) -> RootHash {
        if self.open_children > 0 {
            self.close_node();
        }
        let mut nodes = self.nodes;
        let mut level = 1;
        while nodes.len() > 1 {
            level += 1;
            nodes = nodes.chunks(FAN_OUT).map(|children| node(level, children)).collect();
        }
        let mut root = blake3::Hasher::new();
        root.update(&[255]);
        root.update(&size_bytes.to_le_bytes());
        root.update(&chunk_bytes.to_le_bytes());
        if let Some(top) = nodes.first() {
            root.update(top);
        }
        root.finalize().into()
    }
}

fn new_node(level: u8) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[level]);
    hasher
}

fn node(level: u8, children: &[[u8; 32]]) -> [u8; 32] {
    let mut hasher = new_node(level);
    children.iter().for_each(|child| {
        hasher.update(child);
    });
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_of(count: usize) -> RootHash {
        let mut builder = RootBuilder::new();
        (0..count).for_each(|n| builder.push(&ChunkId::of(&n.to_le_bytes())));
        builder.finish(count as u64 * 4096, 4096)
    }

    /// The definition in the module's text, written down a second time, whole levels at once.
    fn by_definition(count: usize) -> RootHash {
        let mut level: Vec<[u8; 32]> = (0..count).map(|n| ChunkId::of(&n.to_le_bytes()).0).collect();
        let mut number = 0u8;
        while level.len() > 1 || (number == 0 && level.len() == 1) {
            number += 1;
            level =
                level.chunks(1024).map(|c| *blake3::hash(&[&[number][..], &c.concat()].concat()).as_bytes()).collect();
        }
        let mut text = vec![255u8];
        text.extend((count as u64 * 4096).to_le_bytes());
        text.extend(4096u32.to_le_bytes());
        text.extend(level.concat());
        blake3::hash(&text).into()
    }

    #[test]
    fn agrees_with_its_definition() {
        for count in [0, 1, 2, 1023, 1024, 1025, 2048, 2049, 1024 * 3 + 7] {
            assert_eq!(root_of(count), by_definition(count), "{count} chunks");
        }
    }

    #[test]
    fn binds_length_and_chunk_size() {
        let empty = |size, chunk| RootBuilder::new().finish(size, chunk);
        assert_ne!(empty(0, 4096), empty(0, 8192));
        assert_ne!(empty(0, 4096), empty(1, 4096));
    }
}
