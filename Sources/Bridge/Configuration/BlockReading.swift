import ConfigurationText
import NIOCore
import Profiles

/// Reads `[peer.block]`.
enum BlockReading {
    /// - Parameter profile: what the peer's profile says where the table says nothing.
    static func block(_ table: TableReader?, _ profile: ProfileBlock = ProfileBlock()) -> BlockConfiguration {
        var block = BlockConfiguration()
        block.take(profile)
        guard let table else { return block }
        block.level = table.integer("level", in: 1...9) ?? block.level
        block.size = table.size("size", in: 256...(256 << 10)) ?? block.size
        block.hold = hold(table, size: block.size) ?? block.hold
        if table.has("pad-to"), !table.isZero("pad-to") {
            block.padTo = table.size("pad-to", in: 16...(16 << 10)) ?? block.padTo
        }
        if let file = table.path("dictionary", allowed: "the path of a dictionary") {
            if let problem = DictionaryFile.problem(file) {
                table.report("dictionary", problem, allowed: "a file that `skywave dictionary train` made")
            } else {
                block.dictionary = file
            }
        }
        table.finish()
        return block
    }

    private static func hold(_ table: TableReader, size: Int) -> BlockConfiguration.Hold? {
        let allowed = """
            "turn", a duration from 0ms to 1h as in "500ms", or a size from 1 to \(size) bytes as in "2KiB"
            """
        guard table.has("hold") else { return nil }
        guard let text = table.string("hold", allowed: allowed) else { return nil }
        if text == "turn" { return .turn }
        if let duration = ConfigurationUnits.duration(text), (.zero ... .hours(1)).contains(duration) {
            return .duration(duration)
        }
        if let bytes = ConfigurationUnits.size(text), (1...size).contains(bytes) { return .bytes(bytes) }
        table.report("hold", "neither \"turn\" nor a duration nor a size in range", allowed: allowed)
        return nil
    }
}

extension BlockConfiguration {
    /// Takes on what a profile says.
    fileprivate mutating func take(_ profile: ProfileBlock) {
        level = profile.level ?? level
        size = profile.size ?? size
        padTo = profile.padTo ?? padTo
        switch profile.hold {
        case .turn: hold = .turn
        case .duration(let time): hold = .duration(time)
        case .bytes(let bytes): hold = .bytes(bytes)
        case nil: break
        }
    }
}
