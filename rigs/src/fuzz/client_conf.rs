//! MICA's client configuration, text from an image.

use firmware::client_conf::{ClientConf, Key};

use super::{Runner, Source, mutate};

/// What values are made of.
const VALUES: [&str; 14] = [
    "",
    "3",
    "0x3",
    "03",
    "yes",
    "off",
    "hetero",
    "xen",
    "bare-metal",
    "riscv",
    "/lib/firmware/a.elf",
    "a%%b",
    "%(x)s",
    "70000",
];
const WORDS: [&str; 12] =
    ["[Mica]", "[mica]", "[DEFAULT]", "\n", "\r\n", "=", ":", "# ", "; ", " ", "\t", "\u{85}"];

pub(super) fn runner() -> Runner {
    let mut bytes = Vec::new();
    Box::new(move |source| {
        build(source, &mut bytes);
        if source.one_in(2) {
            mutate::bytes(source, &mut bytes);
        }
        if let Ok((conf, _)) = ClientConf::parse(&String::from_utf8_lossy(&bytes)) {
            judge(&conf);
        }
    })
}

fn build(source: &mut Source, text: &mut Vec<u8>) {
    text.clear();
    text.extend(b"[Mica]\nName=a\nClientPath=/a.elf\n");
    for _ in 0..source.below(6) {
        if source.one_in(4) {
            text.extend(WORDS[source.below(WORDS.len())].as_bytes());
            continue;
        }
        let key = Key::ALL[source.below(Key::ALL.len())];
        text.extend(
            format!("{key}{}{}\n", ["=", " = ", ":"][source.below(3)], VALUES[source.below(VALUES.len())])
                .bytes(),
        );
    }
}

/// What holds for every file that is accepted: its canonical form says the same.
fn judge(conf: &ClientConf) {
    assert!(!conf.name().is_empty() && !conf.name().contains('/'), "{:?}", conf.name());
    let canonical = conf.to_string();
    match ClientConf::parse(&canonical) {
        Ok((again, _)) => assert_eq!(again, *conf, "{canonical}"),
        Err(error) => panic!("{error}: {canonical}"),
    }
    // Any text or none; it must only not panic.
    let _ = conf.single_cpu();
}
