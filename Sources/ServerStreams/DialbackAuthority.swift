package import XMPP

/// Answers whether a dialback key is the bridge's own, for any domain that it stands in for (XEP-0220 §2.2.2).
///
/// Keeps nothing: the key is computed again from the question (XEP-0185), so a restart with the same secret, or an answer
/// on another stream than the one the key went out on, makes no difference. Where the XEP is silent – a question without
/// an id, or about a stream in the clear at a site that demands TLS – the answer is the nearest error of its §2.4.
package struct DialbackAuthority: ~Copyable {
    private let configuration: LocalSideConfiguration
    private let secrets: any ServerStreamSecrets

    package init(configuration: LocalSideConfiguration, secrets: any ServerStreamSecrets) {
        self.configuration = configuration
        self.secrets = secrets
    }

    /// The key with which the bridge claims `pair.remote` on a stream to `pair.local`.
    package borrowing func key(for pair: DomainPair, streamID: String) -> String {
        self.secrets.dialbackKey(receiving: pair.local, originating: pair.remote, streamID: streamID)
    }

    /// The answer to one question.
    ///
    /// - Parameters:
    ///   - receiving: the server that asks, which got the key.
    ///   - originating: the domain that the key claims; it must be one of those that the bridge stands in for.
    ///   - isEncrypted: whether the question came over TLS.
    package borrowing func answer(
        receiving: Domain, originating: Domain, streamID: String?, key: String, isEncrypted: Bool
    ) -> DialbackAnswer {
        guard self.configuration.standsInFor(originating) else { return .error(.itemNotFound) }
        guard isEncrypted || !self.configuration.demandsTLS else { return .error(.policyViolation) }
        guard let streamID, !streamID.isEmpty else { return .invalid }
        let own = self.secrets.dialbackKey(receiving: receiving, originating: originating, streamID: streamID)
        return self.secrets.equalInConstantTime(own, key) ? .valid : .invalid
    }
}
