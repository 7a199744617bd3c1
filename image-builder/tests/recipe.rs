//! Recipes: what is read, what is refused and how, and that those of the project make images.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use firmware::board::Board;
use firmware::client_conf::Key;
use firmware::label;
use firmware::test_elf::{TestElf, minimal_table};
use image_builder::bundle::{Bundle, Request, bundle};
use image_builder::content::Content;
use image_builder::layer::Format;
use image_builder::recipe::{Recipe, SbomSource};

const FULL: &str = r#"
name = "localhost/demo/hello:1"
board = "qemu-arm64"
firmware = "app.elf"
platform = "linux/arm64"
layer = "tar+gzip"
sbom = true
version = "2"
title = "A title"
licenses = "Apache-2.0"
revision = "abc"
source = "https://example.org"
args = ["-v", ""]

[rtos]
name = "zephyr"
version = "3.7"

[client-conf]
Name = "demo"
CPU = 0x2
Debug = true
ConsoleInputRate = 1000

[annotations]
"com.example.line" = "x"
"#;

/// A recipe with these further files.
fn with_files(files: &str) -> Result<Recipe, String> {
    Recipe::parse(&format!("[files]\n{files}")).map_err(|error| error.to_string())
}

fn refusal(text: &str) -> String {
    Recipe::parse(text).expect_err("a broken recipe").to_string()
}

fn qemu_arm64() -> Board {
    Board::by_name("qemu-arm64").expect("built in")
}

/// A valid firmware for a board.
fn firmware_for(board: &Board) -> Vec<u8> {
    let (code, table) = (board.ram.base, board.ram.base + 0x1000);
    let elf = TestElf::new().without_segments().without_table().entry(code).segment(code, &[0; 4]);
    elf.segment(table, &minimal_table()).table_section(table, &minimal_table()).build()
}

/// The image that a recipe makes of a valid firmware.
fn image(recipe: &Recipe, files: &[(&str, &[u8])]) -> Result<Bundle, String> {
    let board = recipe.board.clone().unwrap_or_else(qemu_arm64);
    let files: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (path.parse().expect("a valid path"), bytes.to_vec().into()))
        .collect();
    let name = "localhost/a:1".parse().expect("a valid name");
    let request = Request {
        firmware: &Content::from(firmware_for(&board)),
        client_conf: None,
        settings: &recipe.settings,
        board: &board,
        name: recipe.name.as_ref().unwrap_or(&name),
        platforms: &["linux/arm64".parse().expect("a valid platform")],
        format: Format::Tar,
        sbom: None,
        time: None,
        args: &recipe.args,
        files: &files,
        labels: &Vec::from_iter(recipe.labels.clone()),
        annotations: &Vec::from_iter(recipe.annotations.clone()),
    };
    bundle(&request, &mut tempfile::tempfile().expect("a temporary file")).map_err(|error| error.to_string())
}

#[test]
fn everything_is_read() {
    let recipe = Recipe::parse(FULL).expect("valid");
    assert_eq!(recipe.name, Some("localhost/demo/hello:1".parse().expect("valid")));
    assert_eq!(recipe.board, Some(qemu_arm64()));
    assert_eq!(recipe.firmware, Some(PathBuf::from("app.elf")));
    assert_eq!(recipe.platforms, ["linux/arm64".parse().expect("valid")]);
    assert_eq!((recipe.format, recipe.sbom), (Some(Format::TarGzip), Some(SbomSource::Made)));
    assert_eq!(recipe.args, ["-v", ""]);
    let settings =
        [(Key::Name, "demo"), (Key::Cpu, "2"), (Key::Debug, "yes"), (Key::ConsoleInputRate, "1000")];
    assert_eq!(recipe.settings, settings.map(|(key, value)| (key, value.to_owned())));
    let labels = [
        (label::RTOS, "zephyr"),
        (label::RTOS_VERSION, "3.7"),
        ("org.opencontainers.image.version", "2"),
        ("org.opencontainers.image.title", "A title"),
        ("org.opencontainers.image.licenses", "Apache-2.0"),
        ("org.opencontainers.image.revision", "abc"),
        ("org.opencontainers.image.source", "https://example.org"),
    ];
    assert_eq!(recipe.labels, BTreeMap::from(labels.map(|(key, value)| (key, value.to_owned()))));
    assert_eq!(recipe.annotations, BTreeMap::from([("com.example.line".to_owned(), "x".to_owned())]));
    assert_eq!(Recipe::parse(""), Ok(Recipe::default()));
}

#[test]
fn platforms_and_bills_of_materials_have_two_forms() {
    let recipe = |text: &str| Recipe::parse(text).map_err(|error| error.to_string());
    let both = recipe("platform = [\"linux/arm64\", \"linux/amd64\"]").expect("valid").platforms;
    assert_eq!(both.iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/arm64", "linux/amd64"]);
    assert_eq!(
        recipe("platform = []"),
        Err("line 1: \"platform\" is empty, leave it out or set it".to_owned())
    );
    let file = SbomSource::File(PathBuf::from("a.spdx.json"));
    assert_eq!(recipe("sbom = \"a.spdx.json\"").expect("valid").sbom, Some(file));
    assert_eq!(recipe("sbom = false").expect("valid").sbom, None);
    let error = "line 1: layer \"zip\" is unknown, it must be tar, tar+gzip, tar+zstd or erofs";
    assert_eq!(recipe("layer = \"zip\""), Err(error.to_owned()));
}

#[test]
fn files_are_read() {
    let recipe = with_files("\"/etc/app/ca.pem\" = \"ca.pem\"").expect("valid");
    let files: Vec<_> = recipe.files.iter().map(|(path, from)| (path.as_str(), from.as_path())).collect();
    assert_eq!(files, [("/etc/app/ca.pem", Path::new("ca.pem"))]);
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    for (text, key, nearest) in [
        ("frimware = \"x\"", "frimware", "firmware"),
        ("license = \"x\"", "license", "licenses"),
        ("[client_conf]\nCPU = 3", "client_conf", "client-conf"),
        ("rtos.Name = \"x\"", "rtos.Name", "rtos.name"),
        ("client-conf.cpu = 3", "client-conf.cpu", "client-conf.CPU"),
        ("client-conf.ConsoleRate = 3", "client-conf.ConsoleRate", "client-conf.ConsoleInputRate"),
    ] {
        assert_eq!(refusal(text), format!("line 1: key {key:?} is unknown, did you mean {nearest}"));
    }
}

#[test]
fn the_line_of_the_mistake_is_named() {
    for (text, line) in [
        ("\n\nname = \"hello\"", "line 3: image name \"hello\" has no host, write it as localhost/hello:1"),
        (
            "\nboard = \"rpi5\"",
            "line 2: board \"rpi5\" is unknown, known are: hieulerpi, ok3568, qemu-arm64, qemu-raspi4b, rpi4, sim-x86-64",
        ),
        ("board = 3", "line 1: \"board\" is of type integer, it must be a string"),
        ("title = \"\"", "line 1: \"title\" is empty, leave it out or set it"),
        ("args = [\"a\", 1]", "line 1: \"args\" is of type array, it must be an array of strings"),
        ("args = [\"\\u0000\"]", "line 1: \"args\" has a zero byte, which it can't have"),
        ("firmware = \"\\u0000\"", "line 1: \"firmware\" has a zero byte, which it can't have"),
        ("rtos = \"zephyr\"", "line 1: \"rtos\" is of type string, it must be a table"),
        ("[annotations]\na = 1", "line 2: \"annotations.a\" is of type integer, it must be a string"),
        (
            "[client-conf]\nCPU = 1.5",
            "line 2: \"client-conf.CPU\" is of type float, it must be a string, an integer or a boolean",
        ),
        ("[client-conf]\nDebug = \"maybe\"", "line 2: Debug is \"maybe\", it must be yes or no"),
        ("[client-conf]\nPedestal = \"quemu\"", "line 2: Pedestal \"quemu\" is unknown, did you mean qemu"),
        (
            "[client-conf]\nMemory = -2",
            "line 2: Memory is \"-2\", it must be a number from 0 to 2147483647 or -1 for unset",
        ),
    ] {
        assert_eq!(refusal(text), line);
    }
}

#[test]
fn what_is_not_toml_is_refused() {
    for (text, line) in
        [("name", 1), ("\nname = ", 2), ("a = 1\n\na = 2", 3), ("[rtos]\n[rtos]", 2), ("\u{1}", 1)]
    {
        let text = refusal(text);
        assert!(text.starts_with(&format!("line {line}: not valid toml: ")), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert!(refusal(&format!("args = {}", "[".repeat(60_000))).starts_with("line 1: not valid toml: "));
    assert_eq!(refusal(&" ".repeat(65_537)), "65537 bytes long, at most 65536 are allowed");
}

#[test]
fn files_at_odd_paths_are_refused() {
    let rule = "must be absolute, without parts that are empty or . or .., and without control characters";
    for path in ["etc/a", "/../a", "/a/", "/", ""] {
        let line = format!("line 2: path {path:?} {rule}");
        assert_eq!(with_files(&format!("{path:?} = \"a\"")), Err(line));
    }
    let many: String = (0..257).map(|number| format!("\"/{number}\" = \"a\"\n")).collect();
    assert_eq!(with_files(&many), Err("files has 257 entries, at most 256 are allowed".to_owned()));
}

#[test]
fn files_replace_nothing() {
    let refusal = |path: &str| image(&Recipe::default(), &[(path, b"")]).expect_err("a clash");
    for path in ["/firmware.elf", "/etc/mica/client.conf"] {
        assert_eq!(refusal(path), format!("file {path} is written by the builder or given twice"));
    }
    assert_eq!(
        refusal("/firmware.elf/a"),
        "file /firmware.elf/a would lie below /firmware.elf, which is a file"
    );
    assert_eq!(refusal("/etc"), "file /etc/mica/client.conf would lie below /etc, which is a file");
}

#[test]
fn settings_must_suit_pedestal_and_board() {
    let refusal = |conf: &str| {
        let recipe = Recipe::parse(&format!("[client-conf]\n{conf}")).expect("valid by itself");
        image(&recipe, &[]).expect_err("unsuitable")
    };
    assert_eq!(
        refusal("Pedestal = \"jailhouse\""),
        "client.conf: PedestalConf is missing, pedestal jailhouse needs it"
    );
    assert_eq!(
        refusal("CPU = 0"),
        "client.conf: cpu 0 is not for firmware on board qemu-arm64, which runs it on cpu 1 to 3"
    );
}

#[test]
fn the_projects_recipes_make_images() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    let mut count = 0;
    for entry in fs::read_dir(directory).expect("recipes") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a recipe");
        let recipe = Recipe::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let board = &recipe.board.as_ref().expect("a board").name;
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(stem == "test-rtos" || stem.ends_with(&format!("-{board}")), "{stem} is for {board}");
        image(&recipe, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        count += 1;
    }
    assert!(count >= 7, "{count} recipes");
}
