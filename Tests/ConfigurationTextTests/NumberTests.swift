import ConfigurationText
import Testing

@Suite("Numbers in configuration files")
struct NumberTests {
    private func read(_ value: String) throws -> (Double?, [String]) {
        let text = "n = \(value)\n"
        guard case .table(let entries) = try TOMLNode.parse(text) else { return (nil, []) }
        let reader = ConfigurationReader(file: "f", text: text)
        let table = TableReader(reader, .root, entries)
        let number = table.number("n", in: -1...2.5)
        table.finish()
        return (number, reader.problems.map(\.description))
    }

    @Test(arguments: [("1", 1.0), ("-1", -1), ("2.5", 2.5), ("0.25", 0.25), ("-1e-1", -0.1)])
    func `with or without a fraction`(text: String, expected: Double) throws {
        let (number, problems) = try read(text)
        #expect(number == expected)
        #expect(problems.isEmpty)
    }

    @Test(arguments: ["3", "2.6", "-1.01", "inf", "-inf", "nan"])
    func `out of range`(text: String) throws {
        let (number, problems) = try read(text)
        #expect(number == nil)
        #expect(problems.count == 1)
        #expect(problems.first?.contains("out of range (a number from -1 to 2.5)") == true)
    }

    @Test func `of another kind`() throws {
        let (number, problems) = try read("\"1\"")
        #expect(number == nil)
        #expect(problems == ["f:1: n = \"1\": this is a string (a number from -1 to 2.5)"])
    }
}
