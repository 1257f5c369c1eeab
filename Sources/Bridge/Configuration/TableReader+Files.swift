import ConfigurationText

/// Values that name something of this machine.
extension TableReader {
    func endpoint(_ key: String, mustBeAddress: Bool, allowed: String) -> Endpoint? {
        guard let text = string(key, allowed: allowed) else { return nil }
        guard let endpoint = Endpoint(text), !mustBeAddress || endpoint.isAddress, mustBeAddress || endpoint.port != 0
        else {
            report(key, "not an address and port", allowed: allowed)
            return nil
        }
        return endpoint
    }

    /// A path, made absolute against the directory of the configuration file.
    func path(_ key: String, allowed: String) -> String? {
        guard let text = string(key, allowed: allowed) else { return nil }
        guard !text.isEmpty, !text.utf8.contains(0) else {
            report(key, "not a path", allowed: allowed)
            return nil
        }
        return Files.resolve(text, relativeTo: Files.directory(of: reader.file))
    }
}
