import ConfigurationText
import NIOCore
import STANAG5066

/// Reads `[peer.transport]` with `kind = "stanag5066"`.
enum NodeTransportReading {
    static func node(_ table: TableReader, dialect: PeerConfiguration.Dialect?) -> NodeTransportConfiguration? {
        let nodeForm = "\"HOST:PORT\", as in \"127.0.0.1:5066\""
        let node = table.endpoint("node", mustBeAddress: false, allowed: nodeForm)
        if node == nil, !table.has("node") { table.reportMissing("node", allowed: nodeForm) }
        let remote = address(table)
        let sap = table.integer("sap", in: 0...15).flatMap { SAP($0) } ?? .rcop
        let remoteSAP = table.integer("remote-sap", in: 0...15).flatMap { SAP($0) } ?? sap
        // 15 is for clients that may change the node (STANAG 5066 §A.2.1.1).
        let rank = table.integer("rank", in: 0...14) ?? 0
        let application =
            table.integer("app-id", in: 0...65_535).map { RCOPApplication(rawValue: UInt16($0)) }
            ?? (dialect == .xep ? .xmpp : .skywave)
        let alignment =
            table.choice("address-alignment", [("right", NodeAddress.Alignment.right), ("left", .left)]) ?? .right
        let bytesInNode = table.size("in-node", in: 4_096...(4 << 20)) ?? 256 << 10
        let keepAlive = table.duration("keep-alive", in: .seconds(120) ... .hours(24))
        let reservesLink = table.boolean("reserve-link") ?? false
        let classes = table.table("class")
        let confirmation = dialect == .xep ? DeliveryConfirmation.client : .node
        let normal = unitClass(
            classes, "normal",
            .init(connection: 0, priority: 6, confirmation: confirmation, lifetime: .hours(1)))
        let urgent = unitClass(
            classes, "urgent",
            .init(connection: 1, priority: 12, confirmation: confirmation, lifetime: .hours(1)))
        let presence = unitClass(
            classes, "presence", .init(
                connection: normal.connection, priority: normal.priority, confirmation: .node, lifetime: .minutes(30)))
        if dialect == .skywave, let classes, classes.has("presence") {
            classes.report(
                "presence", "only used with dialect = \"xep\": a block holds stanzas of all classes",
                allowed: "normal, urgent", showsValue: false)
        }
        let used = [("normal", normal), ("urgent", urgent)] + (dialect == .xep ? [("presence", presence)] : [])
        if let classes { check(classes, used) }
        classes?.finish()
        guard let node, let remote else { return nil }
        return NodeTransportConfiguration(
            node: node, sap: sap, remote: remote, remoteSAP: remoteSAP, rank: rank, application: application,
            alignment: alignment, bytesInNode: bytesInNode, keepAlive: keepAlive, reservesLink: reservesLink,
            normal: normal, urgent: urgent, presence: presence)
    }

    private static func address(_ table: TableReader) -> NodeAddress? {
        let allowed = "the address of the peer's node, as \"10.1.2.3\"; the first number is 0 to 15"
        guard let text = table.string("remote", allowed: allowed) else {
            if !table.has("remote") { table.reportMissing("remote", allowed: allowed) }
            return nil
        }
        guard let address = NodeAddress(text) else {
            table.report("remote", "not a node address", allowed: allowed)
            return nil
        }
        guard !address.isGroup else {
            table.report("remote", "a group: data to groups is never confirmed", allowed: "the address of one node")
            return nil
        }
        return address
    }

    private static func unitClass(
        _ classes: TableReader?, _ name: String, _ defaults: NodeTransportConfiguration.Class
    ) -> NodeTransportConfiguration.Class {
        guard let table = classes?.table(name) else { return defaults }
        defer { table.finish() }
        return NodeTransportConfiguration.Class(
            connection: table.integer("connection", in: 0...15) ?? defaults.connection,
            priority: table.integer("priority", in: 0...15) ?? defaults.priority,
            confirmation: table.choice("confirm", [("node", DeliveryConfirmation.node), ("client", .client)])
                ?? defaults.confirmation,
            lifetime: table.duration("lifetime", in: .seconds(2) ... .hours(360)) ?? defaults.lifetime)
    }

    /// What the node orders by priority must not come on one connection: its segments would overtake each other.
    private static func check(_ table: TableReader, _ classes: [(name: String, value: NodeTransportConfiguration.Class)]) {
        for (index, one) in classes.enumerated() {
            for other in classes[..<index]
            where one.value.connection == other.value.connection && one.value.priority != other.value.priority {
                table.reader.report(
                    table.path.key(table.has(one.name) ? one.name : other.name),
                    "\"\(other.name)\" and \"\(one.name)\" use RCOP connection \(one.value.connection) with different priorities",
                    allowed: "another connection, or the same priority")
            }
        }
    }
}
