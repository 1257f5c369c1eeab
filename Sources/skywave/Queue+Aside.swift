import ArgumentParser
import Bridge

extension Queue {
    struct Aside: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists what could not be read and was set aside, or shows one of them.",
            discussion: """
                With an id it shows the header, or the bytes of what is no stanza; what people wrote is left out unless \
                --body says otherwise. So what it prints can go into a report.
                """)

        @OptionGroup var daemon: DaemonOption
        @Option(help: ArgumentHelp("Only what came from this peer, or was to go there.", valueName: "name"))
        var peer: String?
        @Argument(help: "The id that the list shows; together with --peer.")
        var id: UInt64?
        @Flag(help: "Also what people wrote.")
        var body = false
        @Flag(help: "One JSON object instead of text.")
        var json = false

        func validate() throws {
            guard id == nil || peer != nil else { throw ValidationError("give --peer with an id") }
            guard id != nil || !body else { throw ValidationError("--body needs an id") }
        }

        func run() async throws {
            let form = json ? "" : ".txt"
            guard let peer, let id else {
                let target = "/queue/aside\(form)" + (peer.map { "?peer=" + AdminTarget.escaped($0) } ?? "")
                return try await daemon.show(target) { site in
                    let list = try StoredQueues(site).setAside(peer: peer)
                    if peer != nil, list.peers.isEmpty { return nil }
                    return json ? list.json.text : list.text
                }
            }
            let name = AdminTarget.escaped(peer)
            try await daemon.show("/queue/aside/stanza\(form)?peer=\(name)&id=\(id)&body=\(body ? 1 : 0)") { site in
                try StoredQueues(site).setAside(peer: peer, id: id)
                    .map { json ? $0.json(withBody: body).text : $0.text(withBody: body) }
            }
        }
    }

    struct DropAside: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends something that was set aside, for good.",
            discussion: "The bridge must be running.")

        @OptionGroup var daemon: DaemonOption
        @Option(help: ArgumentHelp("The peer that it came from, or was to go to.", valueName: "name"))
        var peer: String
        @Argument(help: "The id that aside shows.")
        var id: UInt64

        func run() async throws {
            try await daemon.change("/queue/drop-aside?peer=\(AdminTarget.escaped(peer))&id=\(id)")
        }
    }
}
