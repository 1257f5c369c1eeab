import XMPP

extension Measurement {
    /// For people: a row for each kind, the sum, and what it means in airtime.
    package func text(title: String) -> String {
        let heads = [
            "", "stanzas", "bytes", "sent on", "dropped", "folded", "refused", "answered", "merged", "link", "XEP-0138",
        ]
        var rows = [heads]
        for kind in Self.kindOrder {
            guard let figures = kinds[kind], figures.stanzasIn > 0 else { continue }
            rows.append(Self.row("\(kind)", figures))
        }
        rows.append(Self.row("total", total))
        let widths = heads.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var text = "\(title)\n"
        for row in rows {
            var line = row[0] + String(repeating: " ", count: widths[0] - row[0].count)
            for column in 1..<row.count {
                line += "  " + String(repeating: " ", count: widths[column] - row[column].count) + row[column]
            }
            text += line + "\n"
        }
        let sum = total
        text += "on the link: \(Self.perMille(sum.bytesLink, of: sum.bytesIn)) of what the servers wrote, "
        text += "\(Self.perMille(sum.bytesLink, of: sum.bytesCompressedStream)) of XEP-0138"
        if sum.answersTakenOut > 0 { text += "; \(sum.answersTakenOut) recorded answers to requests that did not cross left out" }
        text += "\nairtime: "
        text += Self.rates.map { "\(Self.seconds(airtime(bitsPerSecond: $0))) at \($0) bit/s" }.joined(separator: ", ")
        return text + "\n"
    }

    private static func row(_ name: String, _ figures: KindFigures) -> [String] {
        [
            name, "\(figures.stanzasIn)", "\(figures.bytesIn)", "\(figures.stanzasOut)", "\(figures.dropped)",
            "\(figures.folded)", "\(figures.refused)", "\(figures.answeredLocally)", "\(figures.merged)",
            "\(figures.bytesLink)", "\(figures.bytesCompressedStream)",
        ]
    }

    private static func perMille(_ part: Int, of whole: Int) -> String {
        guard whole > 0 else { return "–" }
        let tenths = (part * 1_000 + whole / 2) / whole
        return "\(tenths / 10).\(tenths % 10) %"
    }

    private static func seconds(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        if whole < 120 { return "\(whole) s" }
        if whole < 7_200 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3_600) h \(whole % 3_600 / 60) min"
    }

    /// The members of a JSON object, in a fixed order.
    package var members: [(key: String, value: Int)] {
        let sum = total
        return [
            ("stanzas_in", sum.stanzasIn), ("bytes_in", sum.bytesIn), ("stanzas_out", sum.stanzasOut),
            ("bytes_link", bytesLink), ("bytes_xep0138", sum.bytesCompressedStream), ("dropped", sum.dropped),
            ("folded", sum.folded), ("refused", sum.refused), ("answered_locally", sum.answeredLocally),
            ("merged", sum.merged), ("answers_taken_out", sum.answersTakenOut),
        ]
    }
}
