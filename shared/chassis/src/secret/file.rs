//! The file of root secrets.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Error, LEAST_BYTES, Malformed, Missing};

const EITHER_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The list of the file, which is made when `missing` allows it.
pub(super) fn read(path: &Path, missing: Missing) -> Result<Vec<Vec<u8>>, Error> {
    let failed = |error| Error::Io(path.to_owned(), error);
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match missing {
            Missing::Refuse => return Err(Error::Missing(path.to_owned())),
            Missing::Create => create(path).and_then(|()| fs::read_to_string(path)).map_err(failed)?,
        },
        read => read.map_err(failed)?,
    };
    list(&text).map_err(|(line, wrong)| Error::Line(path.to_owned(), line, wrong))
}

/// Made whole or not at all: it is written under another name and linked, and whoever comes second keeps the first's.
fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let _ = fs::remove_file(&draft); // of a process of this number that was killed here
    let made = write(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let _ = fs::remove_file(&draft);
    made?;
    fs::File::open(folder)?.sync_all() // the name too must survive, or the data it protects would be lost
}

fn write(draft: &Path) -> io::Result<()> {
    let mut secret = [0; LEAST_BYTES];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    let line = GeneralPurpose::new(&STANDARD, EITHER_PADDING).encode(secret);
    writeln!(file, "# Root secrets of this mesh, newest first. Whoever reads them reads everything.\n{line}")?;
    file.sync_all()
}

fn list(text: &str) -> Result<Vec<Vec<u8>>, (usize, Malformed)> {
    let lines = text.lines().map(str::trim).enumerate();
    let secrets = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    secrets.map(|(number, line)| decode(line).map_err(|wrong| (number + 1, wrong))).collect()
}

fn decode(line: &str) -> Result<Vec<u8>, Malformed> {
    let base64 = |alphabet| GeneralPurpose::new(alphabet, EITHER_PADDING).decode(line).ok();
    let bytes = hex(line).or_else(|| base64(&STANDARD)).or_else(|| base64(&URL_SAFE));
    match bytes {
        Some(bytes) if bytes.len() >= LEAST_BYTES => Ok(bytes),
        Some(_) => Err(Malformed::Short),
        None => Err(Malformed::Encoding),
    }
}

/// Base64 of hex digits only is read as hex; 64 such digits in a row do not happen by chance.
fn hex(line: &str) -> Option<Vec<u8>> {
    if !line.len().is_multiple_of(2) || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..line.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&line[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::super::Secrets;
    use super::*;

    #[test]
    fn secrets_are_hex_or_base64_one_a_line() {
        let hex = "ab".repeat(32);
        let standard = "//79".repeat(11);
        let url = "__79".repeat(11);
        let padded = format!("{}=", "A".repeat(43));
        let text = format!("# newest\n{hex}\n\n  {standard}\n{url}\n{padded}\n{}", "A".repeat(43));
        let secrets = list(&text).unwrap();
        assert_eq!(secrets.len(), 5);
        assert_eq!(secrets[0], [0xab; 32]);
        assert_eq!(secrets[1], secrets[2], "both alphabets");
        assert_eq!(secrets[3], secrets[4], "padded or not");
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_not_repeated() {
        for (text, expected) in
            [("# head\nnot base64!", (2, Malformed::Encoding)), ("abcdef", (1, Malformed::Short)), ("QUJD", (1, Malformed::Short))]
        {
            assert_eq!(list(text).unwrap_err(), expected, "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "hunter2hunter2!").unwrap();
        let sentence = read(&path, Missing::Refuse).unwrap_err().to_string();
        assert!(sentence.contains("line 1") && !sentence.contains("hunter2"), "{sentence}");
    }

    #[test]
    fn the_first_run_makes_one_for_its_owner_only_and_the_second_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/secret");
        let first = Secrets::load(&path, Missing::Create).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        let second = Secrets::load(&path, Missing::Refuse).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
    }

    #[test]
    fn who_comes_second_keeps_the_secret_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
    }

    #[test]
    fn a_split_mesh_without_its_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(matches!(read(&path, Missing::Refuse), Err(Error::Missing(_))));
        assert!(!path.exists());
        fs::write(&path, "\n# nothing\n").unwrap();
        assert!(matches!(Secrets::load(&path, Missing::Refuse), Err(Error::Empty)));
    }
}
