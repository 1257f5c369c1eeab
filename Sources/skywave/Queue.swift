import Admin
import ArgumentParser
import Bridge
import NIOPosix
import Store

struct Queue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what waits for the links, and takes a stanza out; and what was set aside.",
        discussion: "list, show and aside also work while the bridge is stopped: then they read its journal.",
        subcommands: [List.self, Show.self, Cancel.self, Aside.self, DropAside.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists what waits: id, state, class, kind, size, age, sender and recipient.")

        @OptionGroup var daemon: DaemonOption
        @Option(help: ArgumentHelp("Only what waits for this peer.", valueName: "name"))
        var peer: String?
        @Option(help: ArgumentHelp("How many of each peer, 1 to \(QueueReport.maximumLimit).", valueName: "number"))
        var limit = QueueReport.standardLimit
        @Flag(help: "One JSON object instead of text.")
        var json = false

        func validate() throws {
            guard (1...QueueReport.maximumLimit).contains(limit) else {
                throw ValidationError("--limit is 1 to \(QueueReport.maximumLimit)")
            }
        }

        func run() async throws {
            var target = (json ? "/queue" : "/queue.txt") + "?limit=\(limit)"
            if let peer { target += "&peer=" + AdminTarget.escaped(peer) }
            try await daemon.show(target) { site in
                let report = try StoredQueues(site).report(peer: peer, limit: limit)
                if peer != nil, report.peers.isEmpty { return nil }
                return json ? report.json.text : report.text
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one stanza: its header, and what people wrote only with --body.")

        @OptionGroup var daemon: DaemonOption
        @Option(help: ArgumentHelp("The peer that it waits for.", valueName: "name"))
        var peer: String
        @Argument(help: "The id that list shows.")
        var id: UInt64
        @Flag(help: "Also the whole stanza, with what people wrote.")
        var body = false
        @Flag(help: "One JSON object instead of text.")
        var json = false

        func run() async throws {
            let target = json ? "/queue/stanza" : "/queue/stanza.txt"
            let name = AdminTarget.escaped(peer)
            try await daemon.show("\(target)?peer=\(name)&id=\(id)&body=\(body ? 1 : 0)") { site in
                try StoredQueues(site).stanza(peer: peer, id: id)
                    .map { json ? $0.json(withBody: body).text : $0.text(withBody: body) }
            }
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes a stanza out of the queue; its sender gets it back as an error.",
            discussion: "What has been sent already is not taken out. The bridge must be running.")

        @OptionGroup var daemon: DaemonOption
        @Option(help: ArgumentHelp("The peer that it waits for.", valueName: "name"))
        var peer: String
        @Argument(help: "The id that list shows.")
        var id: UInt64

        func run() async throws {
            try await daemon.change("/queue/cancel?peer=\(AdminTarget.escaped(peer))&id=\(id)")
        }
    }
}

/// Targets of questions to the control endpoint.
enum AdminTarget {
    /// A value within a query.
    static func escaped(_ value: String) -> String {
        var escaped = ""
        for byte in value.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                escaped += "%" + (digits.utf8.count < 2 ? "0" : "") + digits
            }
        }
        return escaped
    }
}
