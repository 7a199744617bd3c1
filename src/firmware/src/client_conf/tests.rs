//! The dialect, the limits, and every refusal with its line.

use proptest::prelude::*;

use super::*;

const MINIMAL: &str = "[Mica]\nName=hello\nClientPath=/lib/firmware/hello.elf\n";

fn parsed(text: &str) -> ClientConf {
    let (conf, warnings) = ClientConf::parse(text).expect("a valid file");
    assert_eq!(warnings, []);
    conf
}

fn refusal(text: &str) -> String {
    ClientConf::parse(text).expect_err("a broken file").to_string()
}

/// The minimal file with one more line, its fourth.
fn with(line: &str) -> String {
    format!("{MINIMAL}{line}\n")
}

fn warning(line: &str) -> String {
    let (_, warnings) = ClientConf::parse(&with(line)).expect("a file with a warning");
    let [warning] = warnings.as_slice() else { panic!("one warning: {warnings:?}") };
    warning.to_string()
}

#[test]
fn defaults_are_those_of_mica() {
    let conf = parsed(MINIMAL);
    assert_eq!((conf.name(), conf.client_path()), ("hello", "/lib/firmware/hello.elf"));
    assert_eq!((conf.cpu(), conf.pedestal(), conf.pedestal_conf()), (None, None, None));
    assert_eq!((conf.auto_boot(), conf.debug(), conf.memory()), (false, false, None));
    assert_eq!(conf, ClientConf::new("hello", "/lib/firmware/hello.elf").expect("valid"));
}

#[test]
fn every_key_is_read_and_written_in_canonical_order() {
    let text = "; a comment\n# another\n[Mica]\n\nnetwork : bridge=br0\nIOMEM= [ \"fd000,1\" ]\nMaxMemory=512\n\
        memory=256\nCPUCapacity=200\nCPUWeight=512\nMaxVCPU=4\nVCPU=2\nDebug=On\nAutoBoot=FALSE\n\
        PedestalConf=/lib/firmware/zephyr.bin\nPedestal=xen\ncpu=1-3\nclientpath=/lib/firmware/zephyr.elf\n\
        Name=qemu-zephyr-xen\n";
    let canonical = "[Mica]\nName=qemu-zephyr-xen\nClientPath=/lib/firmware/zephyr.elf\nCPU=1-3\nPedestal=xen\n\
        PedestalConf=/lib/firmware/zephyr.bin\nAutoBoot=no\nDebug=yes\nVCPU=2\nMaxVCPU=4\nCPUWeight=512\n\
        CPUCapacity=200\nMemory=256\nMaxMemory=512\nIOMem=[ \"fd000,1\" ]\nNetwork=bridge=br0\n";
    let conf = parsed(text);
    assert_eq!(conf.to_string(), canonical);
    assert_eq!(parsed(canonical), conf);
    assert_eq!(
        (conf.vcpu(), conf.max_vcpu(), conf.memory(), conf.max_memory()),
        (Some(2), Some(4), Some(256), Some(512))
    );
    assert_eq!((conf.cpu_weight(), conf.cpu_capacity()), (Some(512), Some(200)));
    assert_eq!((conf.iomem(), conf.network()), (Some("[ \"fd000,1\" ]"), Some("bridge=br0")));
    assert_eq!((conf.pedestal(), conf.debug(), conf.auto_boot()), (Some(Pedestal::Xen), true, false));
}

#[test]
fn windows_line_ends_and_indented_keys_are_read() {
    let text = "[Mica]\r\n  Name = hello\r\n  # comment\r\n  ClientPath = /a b.elf\r\n";
    assert_eq!(parsed(text).client_path(), "/a b.elf");
}

#[test]
fn comment_signs_within_a_line_belong_to_the_value() {
    assert_eq!(parsed(&with("Network=a # b ; c")).network(), Some("a # b ; c"));
}

#[test]
fn percent_signs_are_doubled() {
    let conf = parsed(&with("Network=100%%"));
    assert_eq!(conf.network(), Some("100%"));
    assert!(conf.to_string().ends_with("Network=100%%\n"));
    assert_eq!(
        refusal(&with("Network=%(Name)s")),
        "line 4: Network has a single %, write %% for a percent sign"
    );
    assert_eq!(refusal(&with("Network=%%%")), "line 4: Network has a single %, write %% for a percent sign");
}

#[test]
fn empty_and_minus_one_are_unset() {
    for line in ["CPU=", "Pedestal =", "Memory=-1", "IOMem:"] {
        assert_eq!(parsed(&with(line)).to_string(), MINIMAL, "{line}");
    }
}

#[test]
fn the_form_of_the_file_is_checked() {
    assert_eq!(refusal(""), "section [Mica] is missing");
    assert_eq!(refusal("Name=x"), "line 1: \"Name=x\" stands before the section [Mica]");
    assert_eq!(refusal(&with("Debug")), "line 4: \"Debug\" is not of the form key = value");
    assert_eq!(refusal(&with("= yes")), "line 4: \"= yes\" is not of the form key = value");
    assert_eq!(
        refusal(&with(" more")),
        "line 4: \"more\" is indented, values of several lines are not supported"
    );
    assert_eq!(refusal(&with("[Mica]")), "line 4: section [Mica] is there already");
    assert_eq!(
        refusal(&with("[DEFAULT]")),
        "line 4: section [DEFAULT] is not supported, put the keys into [Mica]"
    );
    assert_eq!(refusal(&with("name=x")), "line 4: Name is set already in line 2");
    assert_eq!(refusal(&"#".repeat(MAX_LEN + 1)), "65537 bytes long, at most 65536 are allowed");
}

#[test]
fn mandatory_keys_are_demanded() {
    assert_eq!(refusal("[Mica]\nClientPath=/x"), "Name is missing, it must be set");
    assert_eq!(refusal("[Mica]\nName=x"), "ClientPath is missing, it must be set");
    assert_eq!(refusal("[Mica]\nName=\nClientPath=/x"), "line 2: Name is missing, it must be set");
}

#[test]
fn each_pedestal_has_its_needs() {
    let missing = |key, pedestal| format!("{key} is missing, pedestal {pedestal} needs it");
    assert_eq!(refusal(&with("Pedestal=jailhouse")), missing("PedestalConf", "jailhouse"));
    assert_eq!(refusal(&with("Pedestal=xen\nPedestalConf=/x.bin")), missing("VCPU", "xen"));
    assert_eq!(refusal(&with("Pedestal=xen\nPedestalConf=/x.bin\nVCPU=1")), missing("Memory", "xen"));
    assert_eq!(refusal(&with("Pedestal=hetero\nPedestalConf=/x.bin")), missing("CPU", "hetero"));
    assert_eq!(
        refusal(&with("Pedestal=hetero\nPedestalConf=/x.bin\nCPU=3")),
        "CPU is \"3\", it must be riscv with pedestal hetero"
    );
    assert_eq!(parsed(&with("Pedestal=qemu\nCPU=3")).pedestal(), Some(Pedestal::Qemu));
    assert_eq!(parsed(&with("Pedestal=baremetal")).pedestal(), Some(Pedestal::Baremetal));
}

#[test]
fn bad_values_are_named() {
    assert_eq!(refusal(&with("Debug=maybe")), "line 4: Debug is \"maybe\", it must be yes or no");
    for value in ["", "2147483648", "-2", "1.5", "0x10"] {
        assert_eq!(
            refusal(&with(&format!("Memory={value}"))),
            format!("line 4: Memory is {value:?}, it must be a number from 0 to 2147483647 or -1 for unset")
        );
    }
    assert_eq!(
        refusal(&with("Network=a\0b")),
        "line 4: Network is \"a\\0b\", control characters are not allowed"
    );
    let long = refusal(&with(&format!("Debug={}", "y".repeat(1000))));
    assert_eq!(long, format!("line 4: Debug is \"{}…\", it must be yes or no", "y".repeat(40)));
}

#[test]
fn names_are_safe_in_paths_and_command_lines() {
    for name in ["../x", "a/b", "..", ".x", "-rf", "a b", "ä", "mica-create"] {
        let text = refusal(&format!("[Mica]\nName={name}\nClientPath=/x"));
        assert!(text.starts_with(&format!("line 2: Name is {name:?}, it must be of A-Z")), "{text}");
    }
    assert_eq!(parsed("[Mica]\nName=a.B_9-\nClientPath=/x").name(), "a.B_9-");
}

#[test]
fn lengths_are_those_of_the_create_message() {
    for (key, limit) in
        [("Name", 65), ("ClientPath", 255), ("CPU", 127), ("Pedestal", 15), ("PedestalConf", 255)]
            .into_iter()
            .chain([("IOMem", 511), ("Network", 511)])
    {
        let mut conf = ClientConf::default();
        let key = Key::find(Section::Mica, key).expect("a key");
        assert_eq!(conf.set(key, &"x".repeat(limit)), Ok(()), "{key}");
        let error = conf.set(key, &"x".repeat(limit + 1)).expect_err("too long").to_string();
        assert_eq!(error, format!("{key} is {} bytes long, at most {limit} are allowed", limit + 1));
    }
}

#[test]
fn what_mica_ignores_is_a_warning() {
    assert_eq!(
        warning("ClientPaht=/x"),
        "line 4: key \"ClientPaht\" is unknown and ignored, did you mean ClientPath"
    );
    assert_eq!(warning("vcpus=1"), "line 4: key \"vcpus\" is unknown and ignored, did you mean VCPU");
    assert_eq!(
        warning("[Other]\nName=x"),
        "line 4: section \"Other\" is ignored, only [Mica] and [Micrun] are read"
    );
    assert_eq!(
        warning("Pedestal=Xen"),
        "line 4: Pedestal \"Xen\" is unknown and means baremetal, did you mean xen"
    );
    let (conf, _) = ClientConf::parse(&with("Pedestal=Xen")).expect("a warning only");
    assert_eq!(conf.pedestal(), Some(Pedestal::Baremetal));
}

#[test]
fn our_own_section_is_apart_from_mica_s() {
    let text = with("[Micrun]\nconsoleinputrate = 960\n");
    let conf = parsed(&text);
    assert_eq!(conf.get(Key::ConsoleInputRate).as_deref(), Some("960"));
    assert_eq!(conf.to_string(), with("[Micrun]\nConsoleInputRate=960").replace("\n\n", "\n"));
    for rate in ["", "0", "-1", "1000001"] {
        assert_eq!(
            refusal(&with(&format!("[Micrun]\nConsoleInputRate={rate}"))),
            format!(
                "line 5: ConsoleInputRate is {rate:?}, it must be a number of bytes per second from 1 to 1000000"
            )
        );
    }
    assert_eq!(refusal(&with("[Micrun]\n[Micrun]")), "line 5: section [Micrun] is there already");
    assert_eq!(
        warning("ConsoleInputRate=1"),
        "line 4: key \"ConsoleInputRate\" is unknown and ignored, did you mean ClientPath"
    );
    assert_eq!(
        warning("[Micrun]\nInputRate=1"),
        "line 5: key \"InputRate\" is unknown and ignored, did you mean ConsoleInputRate"
    );
}

#[test]
fn checksums_are_kept_in_lower_case() {
    let conf = parsed(&with("[Micrun]\nFirmwareCRC32=CE690737\nFirmwareCheck=sha256"));
    assert_eq!((conf.firmware_crc32(), conf.firmware_check()), (Some("ce690737"), Some(Check::Sha256)));
    assert!(conf.to_string().ends_with("[Micrun]\nFirmwareCRC32=ce690737\nFirmwareCheck=sha256\n"));
    let digits = |key: &str, count: u32| {
        for value in ["", "ce69073", "ce6907377", "ce69073g"] {
            assert_eq!(
                refusal(&with(&format!("[Micrun]\n{key}={value}"))),
                format!("line 5: {key} is {value:?}, it must be {count} hexadecimal digits")
            );
        }
    };
    digits("FirmwareCRC32", 8);
    digits("FirmwareSHA256", 64);
    assert_eq!(
        refusal(&with("[Micrun]\nFirmwareCheck=SHA")),
        "line 5: FirmwareCheck is \"SHA\", it must be crc32 or sha256"
    );
}

#[test]
fn one_cpu_is_a_c_integer() {
    let cpu =
        |text: &str| parsed(&with(&format!("CPU={text}"))).single_cpu().map_err(|error| error.to_string());
    assert_eq!(cpu(""), Ok(None));
    for text in ["3", "03", "0x3", "0X03"] {
        assert_eq!(cpu(text), Ok(Some(3)), "{text}");
    }
    assert_eq!(cpu("0"), Ok(Some(0)));
    for text in ["1-3", "riscv", "+3", "-1", "0x", "08", "4294967296"] {
        assert_eq!(cpu(text), Err(format!("CPU is {text:?}, it must be the number of one cpu")));
    }
}

proptest! {
    #[test]
    fn any_text_is_judged_without_panic(text in ".{0,200}") {
        let _ = ClientConf::parse(&text);
    }

    #[test]
    fn lines_of_keys_survive_the_canonical_form(
        lines in proptest::collection::vec((0usize..15, "[ -~]{0,20}"), 0..8),
    ) {
        let text: String = lines.iter().map(|(key, value)| format!("{}={value}\n", Key::ALL[*key])).collect();
        if let Ok((conf, _)) = ClientConf::parse(&with(&text)) {
            let (again, warnings) = ClientConf::parse(&conf.to_string()).expect("the canonical form is valid");
            prop_assert_eq!(again, conf);
            prop_assert_eq!(warnings, vec![]);
        }
    }
}

#[test]
fn times_are_kept_as_they_are_written() {
    let text = format!("{MINIMAL}[Micrun]\nStopTimeout=1m30s\nAutoClose=on\nAutoCloseTimeout=\n");
    let conf = parsed(&text);
    assert_eq!(conf.get(Key::StopTimeout).as_deref(), Some("1m30s"));
    assert_eq!(conf.get(Key::AutoClose).as_deref(), Some("yes"));
    assert_eq!(conf.get(Key::AutoCloseTimeout), None);
    let wrong = "line 5: StopTimeout is \"soon\", it must be whole seconds or a duration such as 1m30s, at most 365 days";
    assert_eq!(refusal(&format!("{MINIMAL}[Micrun]\nStopTimeout=soon\n")), wrong);
}
