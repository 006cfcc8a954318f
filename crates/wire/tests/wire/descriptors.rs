//! What holds for every file of the API, read from the descriptors.

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use std::collections::BTreeSet;

// Field numbers in descriptor.proto, of which the paths of source locations are made.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const FILE_SERVICE: i32 = 6;
const MESSAGE_FIELD: i32 = 2;
const MESSAGE_NESTED: i32 = 3;
const MESSAGE_ENUM: i32 = 4;
const MESSAGE_ONEOF: i32 = 8;
const ENUM_VALUE: i32 = 2;
const SERVICE_METHOD: i32 = 2;

fn our_files() -> Vec<FileDescriptorProto> {
    let all = FileDescriptorSet::decode(latchkey_wire::FILE_DESCRIPTOR_SET).unwrap();
    all.file.into_iter().filter(|file| file.package().starts_with("latchkey.")).collect()
}

fn path(parent: &[i32], kind: i32, at: usize) -> Vec<i32> {
    let mut path = parent.to_vec();
    path.extend([kind, i32::try_from(at).unwrap()]);
    path
}

/// Every element of a file that needs a comment: its path and its name.
fn elements(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    fn of_enum(path_of: Vec<i32>, scope: &str, item: &EnumDescriptorProto, found: &mut Vec<(Vec<i32>, String)>) {
        let name = format!("{scope}.{}", item.name());
        for (at, value) in item.value.iter().enumerate() {
            found.push((path(&path_of, ENUM_VALUE, at), format!("{name}.{}", value.name())));
        }
        found.push((path_of, name));
    }
    fn of_message(path_of: Vec<i32>, scope: &str, item: &DescriptorProto, found: &mut Vec<(Vec<i32>, String)>) {
        let name = format!("{scope}.{}", item.name());
        if item.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry) {
            return;
        }
        for (at, field) in item.field.iter().enumerate() {
            found.push((path(&path_of, MESSAGE_FIELD, at), format!("{name}.{}", field.name())));
        }
        for (at, oneof) in item.oneof_decl.iter().enumerate() {
            // An `optional` field brings a oneof of its own that nobody wrote.
            if !oneof.name().starts_with('_') {
                found.push((path(&path_of, MESSAGE_ONEOF, at), format!("{name}.{}", oneof.name())));
            }
        }
        for (at, nested) in item.nested_type.iter().enumerate() {
            of_message(path(&path_of, MESSAGE_NESTED, at), &name, nested, found);
        }
        for (at, nested) in item.enum_type.iter().enumerate() {
            of_enum(path(&path_of, MESSAGE_ENUM, at), &name, nested, found);
        }
        found.push((path_of, name));
    }
    let mut found = Vec::new();
    for (at, message) in file.message_type.iter().enumerate() {
        of_message(vec![FILE_MESSAGE, i32::try_from(at).unwrap()], file.package(), message, &mut found);
    }
    for (at, item) in file.enum_type.iter().enumerate() {
        of_enum(vec![FILE_ENUM, i32::try_from(at).unwrap()], file.package(), item, &mut found);
    }
    for (at, service) in file.service.iter().enumerate() {
        let path_of = vec![FILE_SERVICE, i32::try_from(at).unwrap()];
        for (at, method) in service.method.iter().enumerate() {
            found.push((path(&path_of, SERVICE_METHOD, at), format!("{}.{}", service.name(), method.name())));
        }
        found.push((path_of, service.name().to_owned()));
    }
    found
}

#[test]
fn no_message_field_value_or_method_lacks_a_comment() {
    let mut bare = Vec::new();
    let mut seen = 0;
    for file in our_files() {
        let info = file.source_code_info.as_ref().expect("the build keeps source information");
        let commented: BTreeSet<&[i32]> = info
            .location
            .iter()
            .filter(|location| location.leading_comments().trim().ends_with(['.', '}']))
            .map(|location| location.path.as_slice())
            .collect();
        for (path, name) in elements(&file) {
            seen += 1;
            if !commented.contains(path.as_slice()) {
                bare.push(name);
            }
        }
    }
    assert!(seen > 300, "only {seen} elements were found");
    assert_eq!(bare, Vec::<String>::new(), "without a comment that ends as a sentence");
}

#[test]
fn no_file_lacks_the_options_that_generators_need() {
    for file in our_files() {
        let options = file.options.clone().unwrap_or_default();
        let folder = file.package().replace('.', "/");
        assert_eq!(file.syntax(), "proto3", "{}", file.name());
        assert_eq!(file.name().rsplit_once('/').unwrap().0, folder);
        let alias = folder.replace('/', "");
        assert_eq!(options.go_package(), format!("latchkey.example/gen/{folder};{alias}"), "{}", file.name());
        assert_eq!(options.java_package(), format!("example.{}", file.package()), "{}", file.name());
        assert!(options.java_multiple_files(), "{}", file.name());
        assert_eq!(options.csharp_namespace().to_ascii_lowercase().replace('.', ""), alias, "{}", file.name());
    }
}

#[test]
fn every_file_of_the_folder_is_compiled() {
    fn collect(folder: &std::path::Path, root: &std::path::Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut on_disk = BTreeSet::new();
    collect(&root.join("latchkey"), &root, &mut on_disk);
    let compiled: BTreeSet<String> = our_files().iter().map(|file| file.name().to_owned()).collect();
    assert_eq!(compiled, on_disk);
}

#[test]
fn the_numbers_of_validate_key_are_those_that_clients_were_written_against() {
    let fields = |message: &str| -> Vec<(i32, String)> {
        let files = our_files();
        let found = files
            .iter()
            .filter(|file| file.package() == "latchkey.v1")
            .flat_map(|file| &file.message_type)
            .find(|candidate| candidate.name() == message)
            .unwrap();
        found.field.iter().map(|field| (field.number(), field.name().to_owned())).collect()
    };
    let named = |pairs: &[(i32, &str)]| -> Vec<(i32, String)> {
        pairs.iter().map(|(number, name)| (*number, (*name).to_owned())).collect()
    };
    assert_eq!(
        fields("ValidateKeyRequest"),
        named(&[(1, "key_text"), (2, "keyspace"), (3, "permission_query"), (4, "context"), (5, "consistency")])
    );
    assert_eq!(
        fields("ValidateKeyResponse"),
        named(&[
            (1, "outcome"),
            (2, "key"),
            (3, "version"),
            (4, "keyspace"),
            (5, "owner"),
            (6, "permissions"),
            (7, "roles"),
            (8, "metadata"),
            (9, "expire_time"),
            (10, "rotation"),
            (11, "checked_at"),
            (12, "decision_basis"),
        ])
    );
    assert_eq!(fields("ValidateKeyResult"), named(&[(1, "id"), (2, "response"), (3, "error")]));
    assert_eq!(fields("Revision"), named(&[(1, "epoch"), (2, "index")]));
}

#[test]
fn the_manual_names_every_reason_with_its_code() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let manual = std::fs::read_to_string(root.join("README.md")).unwrap();
    let files = our_files();
    let file = files.iter().find(|file| file.name() == "latchkey/v1/errors.proto").unwrap();
    let info = file.source_code_info.as_ref().unwrap();
    for (at, value) in file.enum_type[0].value.iter().enumerate().skip(1) {
        let path = path(&[FILE_ENUM, 0], ENUM_VALUE, at);
        let comment = info.location.iter().find(|location| location.path == path).unwrap().leading_comments();
        let code = comment.trim().split('`').nth(1).unwrap();
        let reason = value.name().strip_prefix("ERROR_REASON_").unwrap();
        assert!(manual.contains(&format!("| `{reason}` | `{code}` |")), "{reason}");
    }
}

#[test]
fn the_manual_names_every_action_of_the_audit_log_and_no_other() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let manual = std::fs::read_to_string(root.join("README.md")).unwrap();
    let table = manual.split("\n## Audit actions\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    let ours: BTreeSet<&str> = latchkey_state::Action::ALL.iter().map(|action| action.as_str()).collect();
    assert_eq!(named.iter().copied().collect::<BTreeSet<_>>(), ours);
    assert_eq!(named.len(), ours.len(), "each has one row");
}

/// What is counted is not counted again by a client that nobody asked: a broken connection leaves unknown whether it was.
#[test]
fn the_retry_policy_repeats_no_report_of_usage() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let policy = std::fs::read_to_string(root.join("retry.json")).unwrap();
    let own = r#"{ "service": "latchkey.v1.ValidationService", "method": "ReportUsage" }"#;
    let (_, rest) = policy.split_once(own).expect("it has an entry of its own");
    assert!(!rest.split_once('}').unwrap().0.contains("retryPolicy"), "{rest}");
}

#[test]
fn the_manual_names_every_service_and_method_and_the_retry_policy_every_service() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let manual = std::fs::read_to_string(root.join("README.md")).unwrap();
    let policy = std::fs::read_to_string(root.join("retry.json")).unwrap();
    let table = manual.split("## Services").nth(1).unwrap().split("\n## ").next().unwrap();
    for file in our_files().iter().filter(|file| file.package() == "latchkey.v1") {
        for service in &file.service {
            assert!(table.contains(&format!("| `{}` |", service.name())), "{}", service.name());
            assert!(policy.contains(&format!("\"latchkey.v1.{}\"", service.name())), "{}", service.name());
            // The directory has five methods for each of five kinds, which the table says in words.
            for method in service.method.iter().filter(|_| service.name() != "DirectoryService") {
                assert!(table.contains(&format!("`{}`", method.name())), "{}", method.name());
            }
        }
    }
}
