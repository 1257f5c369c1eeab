import Bridge
import ConfigurationText
import Profiles
import TestSupport
import Testing

@Suite("Files of profiles") struct ProfileFilesTests {
    @Test func `one's own comes first, and a directory that is not there is passed over`() throws {
        try TemporaryDirectory.with { directory in
            try TemporaryDirectory.write("\(directory)/hf.toml", "name = \"hf\"\ndescription = \"own\"\n")
            let files = ProfileFiles(own: ["\(directory)/nowhere", "\(directory)/hf.toml", directory])
            #expect(try files.profile(named: "hf").summary == "own")
            #expect(try files.source(named: "../hf") == nil && files.source(named: "nobody") == nil)
        }
    }

    @Test func `one's own that cannot be read is a problem, and no other profile of its name takes its place`() throws {
        try TemporaryDirectory.with { directory in
            let own = "\(directory)/own"
            let later = "\(directory)/later"
            try Files.makeDirectory(own, isPrivate: false)
            try Files.makeDirectory(later, isPrivate: false)
            for name in ["hf", "vhf", "fleet"] {
                try TemporaryDirectory.write("\(later)/\(name).toml", "name = \"\(name)\"\n")
            }
            try Files.makeDirectory("\(own)/hf.toml", isPrivate: false)
            try TemporaryDirectory.write("\(own)/vhf.toml", String(repeating: "#", count: 300_000))
            #expect(try Files.createPrivate("\(own)/fleet.toml", [0xFF, 0xFE, 0x6E, 0x00]))
            let files = ProfileFiles(own: [own, later])
            for (name, reason) in [("hf", "Not a file"), ("vhf", "Larger than"), ("fleet", "Not UTF-8 text")] {
                let error = #expect(throws: ConfigurationProblems.self) { try files.profile(named: name) }
                let lines = error?.problems.map(\.description) ?? []
                #expect(lines.count == 1 && lines[0].hasPrefix("\(own)/\(name).toml:1: cannot be read: \(reason)"), "\(lines)")
            }
            // Nor for a parent.
            try TemporaryDirectory.write("\(own)/child.toml", "name = \"child\"\ninherits = \"fleet\"\n[iq]\nx = 1\n")
            let error = #expect(throws: ConfigurationProblems.self) { try files.profile(named: "child") }
            #expect(error?.problems.map(\.line) == [4, 1], "the problems of both files are told")
        }
    }

    @Test func `a file that is not private can be read by all, and is never replaced`() throws {
        try TemporaryDirectory.with { directory in
            let file = "\(directory)/fleet.toml"
            let isNew = try Files.create(file, Array("a".utf8), isPrivate: false)
            let isNewAgain = try Files.create(file, Array("b".utf8), isPrivate: false)
            let text = try Files.readText(file)
            #expect(isNew && !isNewAgain && text == "a")
            #expect(Files.permissions(file) == 0o644)
            _ = try Files.createPrivate("\(file).key", Array("c".utf8))
            #expect(Files.permissions("\(file).key") == 0o600)
        }
    }
}
