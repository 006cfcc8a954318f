//! What is known of each method before its first call: from the descriptors, once.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Request;
use latchkey_telemetry::names;
use metrics::Histogram;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::record::code_name;
use crate::rule::{self, Class, TimeRule};
use crate::strangers::Strangers;

/// Codes are 0 (`OK`) to 16 (`UNAUTHENTICATED`).
const CODES: usize = 17;

/// What stands for every path that is not served.
const UNKNOWN_PATH: &str = "/unknown/Unknown";

/// One method, with its rules and its metric handles. The layers find it as `Arc<Method>` in the request's extensions.
#[derive(Debug)]
pub(crate) struct Method {
    /// `/package.Service/Method`.
    pub(crate) path: Box<str>,
    /// The answer is a stream, or the request is one.
    pub(crate) streaming: bool,
    pub(crate) class: Class,
    pub(crate) time: TimeRule,
    /// Our own services ask it of each other.
    pub(crate) internal: bool,
    /// Who is told where its caller proved no identity.
    pub(crate) strangers: Option<Strangers>,
    // Made on first use: a scrape then shows only what happened, and the recorder may be installed after the table.
    answered: [OnceLock<Histogram>; CODES],
}

impl Method {
    fn new(service: &str, method: &str, streaming: bool, strangers: Option<Strangers>) -> Self {
        let class = rule::class(service, method);
        Self {
            path: format!("/{service}/{method}").into_boxed_str(),
            streaming,
            class,
            time: rule::time(class, method, streaming),
            internal: service.starts_with("latchkey.internal."),
            strangers,
            answered: [const { OnceLock::new() }; CODES],
        }
    }

    /// The method of a request that has passed the outermost layer.
    pub(crate) fn of<B>(request: &Request<B>) -> &Arc<Self> {
        request.extensions().get().expect("`observe` stands outermost and names the method")
    }

    /// As telemetry names it: `package.Service/Method`, or `_OTHER` for what is not served.
    pub(crate) fn name(&self) -> &str {
        if &*self.path == UNKNOWN_PATH { "_OTHER" } else { &self.path[1..] }
    }

    /// Counts one answer.
    pub(crate) fn answered(&self, code: Code, took: Duration) {
        let histogram = self.answered.get(code as usize).expect("tonic has 17 codes");
        let make = || {
            metrics::histogram!(
                names::RPC_SERVER_CALL_DURATION,
                "rpc.system.name" => "grpc",
                "rpc.method" => self.name().to_owned(),
                "rpc.response.status_code" => code_name(code),
            )
        };
        histogram.get_or_init(make).record(took.as_secs_f64());
    }
}

/// All methods of one server.
#[derive(Debug)]
pub(crate) struct Methods {
    by_path: HashMap<Box<str>, Arc<Method>>,
    unknown: Arc<Method>,
}

impl Methods {
    /// From the descriptors of what is served; `strangers` is told of calls whose caller proved no identity.
    pub(crate) fn new<'a>(
        descriptors: impl IntoIterator<Item = &'a FileDescriptorSet>,
        strangers: Option<&Strangers>,
    ) -> Self {
        let mut by_path = HashMap::new();
        for file in descriptors.into_iter().flat_map(|set| &set.file) {
            for service in &file.service {
                let service_name = format!("{}.{}", file.package(), service.name());
                for method in &service.method {
                    let streaming = method.client_streaming() || method.server_streaming();
                    let method = Method::new(&service_name, method.name(), streaming, strangers.cloned());
                    let method = Arc::new(method);
                    by_path.insert(method.path.clone(), method);
                }
            }
        }
        // A path that a stranger made up never becomes a metric label: all of them are this one.
        Self { by_path, unknown: Arc::new(Method::new("unknown", "Unknown", false, strangers.cloned())) }
    }

    /// The method of a path; one and the same for every path that is not served.
    pub(crate) fn find(&self, path: &str) -> &Arc<Method> {
        self.by_path.get(path).unwrap_or(&self.unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support;

    #[test]
    fn a_path_that_is_not_served_never_becomes_a_label_of_its_own() {
        let methods = Methods::new([&test_support::descriptors()], None);
        assert_eq!(methods.find("/made.up/ByAStranger").name(), "_OTHER");
        assert_eq!(&*methods.find("/test.v1.TestService/Facts").path, "/test.v1.TestService/Facts");
    }

    #[test]
    fn the_descriptors_say_what_streams() {
        let methods = Methods::new([&test_support::descriptors()], None);
        assert!(methods.find("/test.v1.TestService/Stream").streaming);
        assert!(!methods.find("/test.v1.TestService/Facts").streaming);
    }
}
