//! The name of a container's instance: unique on the node, and one can tell from it which container it is.
//!
//! | container | name |
//! |---|---|
//! | `app` in namespace `default` | `app` |
//! | `app` in namespace `k8s.io` | `k8s.io--app` |
//! | 64 hexadecimal digits, as Docker and the kubelet make them | `k8s.io__` and the same 32 bytes in base32 |
//!
//! Namespaces have no two separators in a row, so the first `--` or `__` ends the namespace.

use super::SpecError;

/// containerd's namespace where nobody names one.
const DEFAULT: &str = "default";
/// Longest name that micad keeps.
const MOST: usize = 65;
/// What ends the namespace before an id as it is, and before one in base32.
const PLAIN: &str = "--";
const PACKED: &str = "__";
/// RFC 4648, in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The name that micad keeps for itself.
const RESERVED: &str = "mica-create";

/// The name for container `id` of `namespace`.
pub(super) fn instance(namespace: &str, id: &str) -> Result<String, SpecError> {
    let unsafe_in_name = |name: &str| {
        !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) || name.is_empty()
    };
    let divided = |name: &str| name.contains(PLAIN) || name.contains(PACKED);
    if unsafe_in_name(namespace) || unsafe_in_name(id) || divided(namespace) {
        return Err(SpecError::Name { namespace: namespace.to_owned(), id: id.to_owned() });
    }
    let name = match packed(id) {
        Some(packed) => format!("{namespace}{PACKED}{packed}"),
        None if namespace == DEFAULT && !divided(id) && id != RESERVED => id.to_owned(),
        None => format!("{namespace}{PLAIN}{id}"),
    };
    if name.len() > MOST {
        return Err(SpecError::LongName { len: name.len(), name });
    }
    Ok(name)
}

/// 64 hexadecimal digits in 52 characters.
fn packed(id: &str) -> Option<String> {
    let digit = |byte: &u8| {
        Some(*byte).filter(|byte| !byte.is_ascii_uppercase()).and_then(|byte| char::from(byte).to_digit(16))
    };
    let digits: Vec<u32> = id.as_bytes().iter().map(digit).collect::<Option<_>>()?;
    if digits.len() != 64 {
        return None;
    }
    let bit = |at: usize| digits.get(at / 4).map_or(0, |digit| digit >> (3 - at % 4) & 1);
    let character = |at: usize| (0..5).fold(0, |value, next| value << 1 | bit(5 * at + next));
    Some((0..52).map(|at| char::from(BASE32[character(at) as usize])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way back: namespace and id.
    fn container(name: &str) -> (String, String) {
        let (plain, hidden) = (name.find(PLAIN), name.find(PACKED));
        match (plain, hidden) {
            (None, None) => (DEFAULT.to_owned(), name.to_owned()),
            (Some(at), hidden) if hidden.is_none_or(|hidden| at < hidden) => {
                (name[..at].to_owned(), name[at + 2..].to_owned())
            }
            (_, Some(at)) => (name[..at].to_owned(), unpacked(&name[at + 2..])),
            _ => unreachable!(),
        }
    }

    fn unpacked(text: &str) -> String {
        let value = |c: char| BASE32.iter().position(|b| char::from(*b) == c).expect("base32");
        let bits: Vec<usize> =
            text.chars().flat_map(|c| (0..5).map(move |at| value(c) >> (4 - at) & 1)).collect();
        let digit = |bits: &[usize]| bits.iter().fold(0, |value, bit| value << 1 | bit);
        bits.chunks_exact(4).take(64).map(|bits| format!("{:x}", digit(bits))).collect()
    }

    #[test]
    fn names_are_what_the_table_says_and_lead_back() {
        let hex = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        // What `base32` of coreutils makes of the 32 bytes.
        let packed = "aaisem2ekvthpcezvk54zxpo74abcirtirkwm54itgvlxtg5537q";
        for (namespace, id, expected) in [
            ("default", "app", "app".to_owned()),
            ("k8s.io", "app", "k8s.io--app".to_owned()),
            ("default", "k8s.io--app", "default--k8s.io--app".to_owned()),
            ("default", "a__b", "default--a__b".to_owned()),
            ("default", "mica-create", "default--mica-create".to_owned()),
            ("k8s.io", hex, format!("k8s.io__{packed}")),
            ("moby", hex, format!("moby__{packed}")),
        ] {
            let name = instance(namespace, id).expect("a name");
            assert_eq!(name, expected);
            assert_eq!(container(&name), (namespace.to_owned(), id.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let refusal = |namespace: &str, id: &str| instance(namespace, id).expect_err("refused").to_string();
        let long = "x".repeat(66);
        assert_eq!(
            refusal("default", &long),
            format!(
                "micad's names have at most 65 bytes, and {long:?} has 66: choose a shorter container id"
            )
        );
        assert!(instance("default", &long[1..]).is_ok());
        for (namespace, id) in
            [("a--b", "c"), ("a", ""), ("a", "../b"), ("a", "b/c"), ("", "b"), ("a", "b\n")]
        {
            assert!(refusal(namespace, id).contains("cannot be a name for micad"), "{namespace} {id}");
        }
        // Upper case is another id.
        assert_eq!(instance("default", &"A".repeat(64)).expect("fits"), "A".repeat(64));
    }
}
