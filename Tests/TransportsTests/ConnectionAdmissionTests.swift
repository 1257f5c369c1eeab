import NIOCore
import Testing

@testable import Transports

@Suite struct ConnectionAdmissionTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func source(_ text: String) throws -> ConnectionAdmission.Source {
        ConnectionAdmission.Source(try SocketAddress(ipAddress: text, port: 1))
    }

    @Test func `one source may have a few pending connections, all together some more`() throws {
        var limits = ConnectionAdmission.Limits()
        limits.pending = 5
        limits.pendingPerSource = 2
        var admission = ConnectionAdmission(limits: limits)
        var admitted: [String] = []
        for address in ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"] {
            let isAdmitted = admission.admit(try source(address), now: start)
            if isAdmitted { admitted.append(address) }
        }
        #expect(admitted == ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"])
        admission.release(try source("10.0.0.1"))
        let again = admission.admit(try source("10.0.0.5"), now: start)
        #expect(again)
    }

    @Test func `one source may connect in a burst and then only at the rate`() throws {
        var limits = ConnectionAdmission.Limits()
        limits.burst = 4
        limits.refill = .seconds(1)
        var admission = ConnectionAdmission(limits: limits)
        let one = try source("10.0.0.1")
        var admitted = 0
        for step in 0..<100 {
            // Ten attempts a second, each given back at once.
            if admission.admit(one, now: start + .milliseconds(Int64(step) * 100)) {
                admitted += 1
                admission.release(one)
            }
        }
        #expect((12...14).contains(admitted), "\(admitted)")
        let other = admission.admit(try source("10.0.0.2"), now: start)
        #expect(other, "another source is not concerned")
    }

    @Test func `a hundred thousand sources leave no memory behind`() throws {
        var admission = ConnectionAdmission()
        var most = 0
        for number in 0..<100_000 {
            let one = try source("10.\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)")
            // A thousand a second; each is forgotten half a second after its connection.
            _ = admission.admit(one, now: start + .milliseconds(Int64(number)))
            admission.release(one)
            most = max(most, admission.sources)
        }
        #expect(most <= 2_048)
    }

    @Test func `IPv6 counts by network, mapped IPv4 as IPv4`() throws {
        #expect(try source("2001:db8:1:2::1") == source("2001:db8:1:2:ffff::9"))
        #expect(try source("2001:db8:1:2::1") != source("2001:db8:1:3::1"))
        #expect(try source("::ffff:10.0.0.1") == source("10.0.0.1"))
        #expect(try source("10.0.0.1") != source("10.0.0.2"))
    }

    @Test func `a source that gives back more than it had changes nothing`() throws {
        var admission = ConnectionAdmission()
        admission.release(try source("10.0.0.1"))
        #expect(admission.pending == 0)
        _ = admission.admit(try source("10.0.0.1"), now: start)
        admission.release(try source("10.0.0.1"))
        admission.release(try source("10.0.0.1"))
        #expect(admission.pending == 0)
    }
}
