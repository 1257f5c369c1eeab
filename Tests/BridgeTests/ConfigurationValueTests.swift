import Bridge
import ConfigurationText
import NIOCore
import Testing

/// Single values of a configuration.
@Suite("Values of a configuration")
struct ConfigurationValueTests {
    @Test("Suggestions are near misses only")
    func spelling() {
        #expect(Spelling.suggestion(for: "max_bytes", among: ["max-bytes", "max-stanzas"]) == "max-bytes")
        #expect(Spelling.suggestion(for: "domians", among: ["domains", "name"]) == "domains")
        #expect(Spelling.suggestion(for: "Connect", among: ["connect", "listen"]) == "connect")
        #expect(Spelling.suggestion(for: "zebra", among: ["connect", "listen"]) == nil)
    }

    @Test("Durations and sizes: units, ends of range, overflow")
    func units() {
        #expect(ConfigurationUnits.duration("20ms") == .milliseconds(20))
        #expect(ConfigurationUnits.duration("7d") == .hours(168))
        #expect(ConfigurationUnits.duration("1.5s") == nil)
        #expect(ConfigurationUnits.duration("-1s") == nil)
        #expect(ConfigurationUnits.duration("s") == nil)
        #expect(ConfigurationUnits.duration("9223372036854775807d") == nil)
        #expect(ConfigurationUnits.size("64MiB") == 64 << 20)
        #expect(ConfigurationUnits.size("64MB") == nil)
        #expect(ConfigurationUnits.size("9223372036854775807GiB") == nil)
        #expect(ConfigurationUnits.format(.minutes(90)) == "90m")
        #expect(ConfigurationUnits.format(bytes: 65_536) == "64KiB")
    }

    @Test("Endpoints and address blocks")
    func endpoints() throws {
        #expect(Endpoint("10.1.2.3:5269") == Endpoint(host: "10.1.2.3", port: 5269))
        #expect(Endpoint("[2001:db8::1]:5269")?.description == "[2001:db8::1]:5269")
        for wrong in ["", ":", "a:", ":1", "2001:db8::1:5269", "a:65536", "a:-1", "a b:1", "[::1]", "10.1.2:3", "a:+1"]
        {
            #expect(Endpoint(wrong) == nil, "\(wrong)")
        }
        #expect(AddressRange("10.1.2.0/24")?.contains(try SocketAddress(ipAddress: "10.1.2.77", port: 1)) == true)
        #expect(
            AddressRange("10.1.2.0/24")?.contains(try SocketAddress(ipAddress: "::ffff:10.1.2.77", port: 1)) == true)
        #expect(AddressRange("10.1.2.0/23")?.contains(try SocketAddress(ipAddress: "10.1.4.1", port: 1)) == false)
        #expect(AddressRange("2001:db8::/32")?.contains(try SocketAddress(ipAddress: "2001:db8:1::1", port: 1)) == true)
        for wrong in ["10.1.2.3/24", "10.1.2.3/33", "10.1.2", "x", "10.0.0.0/-1", "::/129", "10.0.0.0/+8"] {
            #expect(AddressRange(wrong) == nil, "\(wrong)")
        }
    }
}
