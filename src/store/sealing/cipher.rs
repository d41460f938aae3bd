//! XChaCha20-Poly1305, put together of HChaCha20 and the ChaCha20-Poly1305 of `ring`, which takes half as long as others.
//!
//! HChaCha20 makes a key of the key and the first 16 bytes of a nonce; under it the rest of the nonce, behind four zeros, is
//! that of the cipher (draft-irtf-cfrg-xchacha-03, section 2.3).

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::Key;
use crate::format::sealed::{NONCE_LEN, TAG_LEN};

/// Bytes of a nonce that go into the key.
const INTO_KEY: usize = 16;

/// The cipher under a key and a nonce.
fn cipher(key: &Key, nonce: &[u8; NONCE_LEN]) -> (LessSafeKey, Nonce) {
    let (front, end) = nonce.split_at(INTO_KEY);
    let front: &[u8; INTO_KEY] = front.try_into().expect("BUG: 16 bytes");
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(hchacha::<R20>((&**key).into(), front.into()).into());
    let mut rest = [0; 12];
    rest[4..].copy_from_slice(end);
    let key = UnboundKey::new(&CHACHA20_POLY1305, &*key).expect("BUG: 32 bytes");
    (LessSafeKey::new(key), Nonce::assume_unique_for_key(rest))
}

/// Seals bytes where they lie, and gives their tag.
///
/// # Panics
/// For 256 GiB and more.
pub(super) fn seal(key: &Key, nonce: &[u8; NONCE_LEN], bound_to: &[u8], plain: &mut [u8]) -> [u8; TAG_LEN] {
    let (cipher, nonce) = cipher(key, nonce);
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(bound_to), plain).expect("BUG: far below 256 GiB");
    tag.as_ref().try_into().expect("BUG: 16 bytes")
}

/// Opens bytes where they lie, behind which their tag lies; `None` when they are not what was sealed.
pub(super) fn open<'a>(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    bound_to: &[u8],
    sealed: &'a mut [u8],
) -> Option<&'a mut [u8]> {
    let (cipher, nonce) = cipher(key, nonce);
    cipher.open_in_place(nonce, Aad::from(bound_to), sealed).ok()
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::AeadInOut;
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// draft-irtf-cfrg-xchacha-03, A.3.1.
    #[test]
    fn the_draft_s_example() {
        let mut text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it."
            .to_vec();
        let key = Key::new(std::array::from_fn(|at| 0x80 + at as u8));
        let nonce: [u8; NONCE_LEN] = std::array::from_fn(|at| 0x40 + at as u8);
        let tag = seal(&key, &nonce, &hex("50515253c0c1c2c3c4c5c6c7"), &mut text);
        assert_eq!(text[..16], hex("bd6d179d3e83d43b9576579493c0e939"));
        assert_eq!(tag[..], hex("c0875924c1c7987947deafd8780acf49"));
    }

    proptest! {
        #[test]
        fn another_program_s_cipher_says_the_same(
            key: [u8; 32],
            nonce: [u8; NONCE_LEN],
            bound_to in proptest::collection::vec(any::<u8>(), 0..40),
            plain in proptest::collection::vec(any::<u8>(), 0..700),
            flipped: prop::sample::Index,
        ) {
            let mut theirs = plain.clone();
            let tag = XChaCha20Poly1305::new((&key).into())
                .encrypt_inout_detached(&nonce.into(), &bound_to, theirs.as_mut_slice().into())
                .unwrap();
            theirs.extend_from_slice(&tag);
            let (key, mut ours) = (Key::new(key), plain.clone());
            let tag = seal(&key, &nonce, &bound_to, &mut ours);
            ours.extend_from_slice(&tag);
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(open(&key, &nonce, &bound_to, &mut ours).map(|it| it.to_vec()), Some(plain));
            let at = flipped.index(theirs.len());
            theirs[at] ^= 1;
            prop_assert!(open(&key, &nonce, &bound_to, &mut theirs).is_none());
        }
    }
}
