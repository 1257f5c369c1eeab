import XMPP

extension Explanation {
    /// For a person: the verdict in one line, then a line for each element.
    package var text: String {
        var text = "\(profile): \(Self.words(verdict))\(Self.suffix(rule))\n"
        text += "bytes: \(bytesBefore) before, \(bytesAfter) after"
        if bytesAfter > 0, bytesBefore > 0, bytesAfter != bytesBefore {
            text += " (\(bytesAfter * 100 / bytesBefore) %)"
        }
        text += "\n\n"
        var rows: [(name: String, bytes: String, fate: String, rule: String)] = []
        Self.collect(root, depth: 0, parent: nil, into: &rows)
        let nameWidth = rows.map(\.name.count).max() ?? 0
        let bytesWidth = rows.map(\.bytes.count).max() ?? 0
        let fateWidth = rows.map(\.fate.count).max() ?? 0
        for row in rows {
            var line =
                Self.padded(row.name, nameWidth) + "  " + Self.padded(row.bytes, bytesWidth, isNumber: true) + "  "
            line += row.rule.isEmpty ? row.fate : Self.padded(row.fate, fateWidth) + "  " + row.rule
            text += line + "\n"
        }
        return text
    }

    private static func collect(
        _ node: Node, depth: Int, parent: Node?,
        into rows: inout [(name: String, bytes: String, fate: String, rule: String)]
    ) {
        var name = String(repeating: "  ", count: depth) + node.name
        if let parent, parent.namespace != node.namespace { name += " (\(node.namespace))" }
        let bytes =
            node.fate == .kept || node.fate == .cut || node.fate == .added
            ? node.bytesBefore == node.bytesAfter ? "\(node.bytesBefore)" : "\(node.bytesBefore) → \(node.bytesAfter)"
            : "\(node.bytesBefore) → 0"
        // What shares its parent's fate has its parent's reason.
        let isSame = depth > 1 && parent?.fate == node.fate && parent?.rule == node.rule
        rows.append((name, bytes, node.fate.rawValue, isSame ? "" : words(node.rule)))
        for child in node.children { collect(child, depth: depth + 1, parent: node, into: &rows) }
    }

    private static func words(_ rule: Rule) -> String {
        switch rule {
        case .profile(let origin): origin.description
        case .hard(let reason): "hard rule: \(reason)"
        case .none: ""
        }
    }

    private static func suffix(_ rule: Rule) -> String {
        let words = words(rule)
        return words.isEmpty ? "" : " – \(words)"
    }

    private static func words(_ verdict: ProfileVerdict) -> String {
        switch verdict {
        case .pass: "crosses as it is"
        case .fold(let stanza): stanza.isError ? "an error crosses in its place" : "crosses folded"
        case .truncate: "crosses with its text cut"
        case .drop(.onlyMetadata): "dropped: nothing in it but what may be dropped"
        case .drop(.nothingLeft): "dropped: nothing is left of it"
        case .drop(.noPresence): "dropped: presence does not cross"
        case .drop(.serverOwned): "dropped: nothing in it that its sender may say"
        case .drop(.fromRoom(let refusal)):
            "dropped: a room is never told of an error (\(refusal.condition.rawValue): \(refusal.text))"
        case .refuse(let refusal): "refused with \(words(refusal))"
        case .answerLocally(nil): "answered here if the answer is known, else crosses as it is"
        case .answerLocally(let refusal?): "answered here if the answer is known, else refused with \(words(refusal))"
        }
    }

    private static func words(_ refusal: Refusal) -> String {
        "\(refusal.condition.rawValue), type \(refusal.type.rawValue): \(refusal.text)"
    }

    private static func padded(_ text: String, _ width: Int, isNumber: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return isNumber ? space + text : text + space
    }
}
