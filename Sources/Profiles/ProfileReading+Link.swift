import ConfigurationText
import NIOCore

/// `[outbox]` and `[block]`. The ranges are those of `[peer.outbox]` and `[peer.block]`.
extension ProfileReading {
    func outbox(_ table: TableReader) -> ProfileOutbox {
        var outbox = ProfileOutbox()
        defer { table.finish() }
        outbox.foldsIDs = table.boolean("fold-ids")
        guard let classes = table.table("class") else { return outbox }
        defer { classes.finish() }
        if let urgent = classes.table("urgent") {
            outbox.urgent.priority = priority(urgent)
            if urgent.has("expires") {
                urgent.report("expires", "answers, errors and subscription stanzas never expire", allowed: "remove it")
            }
            urgent.finish()
        }
        outbox.message = stanzaClass(classes.table("message"), longest: .hours(720))
        outbox.request = stanzaClass(classes.table("iq"), longest: .hours(24))
        if let presence = classes.table("presence") {
            outbox.supersedesPresence = presence.boolean("supersede")
            outbox.presence = stanzaClass(presence, longest: .hours(24))
        }
        return outbox
    }

    private func stanzaClass(_ table: TableReader?, longest: TimeAmount) -> ProfileOutbox.Class {
        guard let table else { return ProfileOutbox.Class() }
        defer { table.finish() }
        return ProfileOutbox.Class(
            priority: priority(table), expires: table.duration("expires", in: .seconds(1)...longest))
    }

    private func priority(_ table: TableReader) -> UInt8? {
        table.integer("priority", in: 0...15).map { UInt8($0) }
    }

    func block(_ table: TableReader) -> ProfileBlock {
        var block = ProfileBlock()
        block.level = table.integer("level", in: 1...9)
        block.size = table.size("size", in: 256...(256 << 10))
        block.hold = hold(table)
        if table.has("pad-to") {
            block.padTo = table.isZero("pad-to") ? 0 : table.size("pad-to", in: 16...(16 << 10))
        }
        table.finish()
        return block
    }

    private func hold(_ table: TableReader) -> ProfileBlock.Hold? {
        let allowed = "\"turn\", a duration from 0ms to 1h as in \"500ms\", or a size up to 256 KiB as in \"2KiB\""
        guard let text = table.string("hold", allowed: allowed) else { return nil }
        if text == "turn" { return .turn }
        if let duration = ConfigurationUnits.duration(text), (.zero ... .hours(1)).contains(duration) {
            return .duration(duration)
        }
        if let bytes = ConfigurationUnits.size(text), (1...(256 << 10)).contains(bytes) { return .bytes(bytes) }
        table.report("hold", "neither \"turn\" nor a duration nor a size in range", allowed: allowed)
        return nil
    }
}
