//! `ONE_…` variables: which setting each names.

/// The variable of the setting at this path: `gateway.addr` is `ONE_GATEWAY_ADDR`.
pub(super) fn variable(path: &str) -> String {
    format!("ONE_{}", path.replace('.', "_").to_uppercase())
}

/// Kubernetes sets such variables for every Service of the namespace (`ONE_GATEWAY_PORT=tcp://…` for one named
/// `one-gateway`). They are nobody's misspelt setting.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let (host, port) = (name.ends_with("_SERVICE_HOST"), name.contains("_SERVICE_PORT"));
    let link = name.contains("_PORT_") && ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains(protocol));
    host || port || link || (name.ends_with("_PORT") && value.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_its_variable() {
        for (path, name) in [("data_dir", "ONE_DATA_DIR"), ("gateway.addr", "ONE_GATEWAY_ADDR")] {
            assert_eq!(variable(path), name);
        }
    }

    #[test]
    fn what_kubernetes_sets_is_told_from_a_misspelt_setting() {
        for (name, value, expected) in [
            ("ONE_GATEWAY_SERVICE_HOST", "10.0.0.1", true),
            ("ONE_GATEWAY_SERVICE_PORT_GRPC", "8080", true),
            ("ONE_GATEWAY_PORT", "tcp://10.0.0.1:8080", true),
            ("ONE_GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1", true),
            ("ONE_GATEWAY_PORT", "8080", false),
            ("ONE_GATEWAY_ADRR", "127.0.0.1:1", false),
        ] {
            assert_eq!(is_service_link(name, value), expected, "{name}={value}");
        }
    }
}
