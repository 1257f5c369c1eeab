// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Tiers, lowest first: C, pure, I/O, run, executables. A target depends on its own tier or a lower one.
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioLocks: Target.Dependency = .product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let sqlite: Target.Dependency = .product(name: "GRDBSQLite", package: "GRDB.swift")
let toml: Target.Dependency = .product(name: "TOMLKit", package: "TOMLKit")

let package = Package(
    name: "skywave",
    products: [
        .executable(name: "skywave", targets: ["skywave"]),
        .executable(name: "skywave-sim", targets: ["skywave-sim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // C
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CExpat", providers: [.apt(["libexpat1-dev"])]),
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .target(name: "CShims"),

        // Pure: values and state machines; no event loop, clock, logger or file.
        .target(name: "SeededRandom", dependencies: [nioCore]),
        .target(name: "XMPP", dependencies: ["CExpat", nioCore]),
        .target(name: "ConfigurationText", dependencies: [nioCore, toml]),
        .target(name: "Profiles", dependencies: ["XMPP", "ConfigurationText", nioCore]),
        .target(name: "ServerStreams", dependencies: ["XMPP", nioCore, deque]),
        .target(name: "Outbox", dependencies: ["XMPP", nioCore, deque]),
        .target(name: "PresenceCache", dependencies: ["XMPP", "Outbox", nioCore, deque, heap]),
        .target(name: "IdentifierFolding", dependencies: ["XMPP", "Outbox", deque]),
        .target(name: "LocalAnswers", dependencies: ["XMPP", nioCore]),
        .target(name: "Blocks", dependencies: ["XMPP", "Outbox", "CZlib", "CShims", nioCore, deque]),
        .target(
            name: "BridgeCore",
            dependencies: [
                "XMPP", "Profiles", "ServerStreams", "Outbox", "PresenceCache", "IdentifierFolding", "LocalAnswers", "Blocks",
                nioCore, deque,
            ]),
        .target(name: "TrafficRecording", dependencies: ["XMPP", nioCore]),
        .target(name: "STANAG5066", dependencies: ["XMPP", "SeededRandom", nioCore, deque]),
        .target(name: "HFNode", dependencies: ["STANAG5066", "SeededRandom", nioCore, deque]),
        .target(
            name: "TrafficMeasurement", dependencies: ["XMPP", "TrafficRecording", "Profiles", "Outbox", "PresenceCache", "Blocks", "BridgeCore", nioCore]),

        // I/O
        .target(name: "TLS", dependencies: ["XMPP", "ServerStreams", "COpenSSL", "CShims", nioCore]),
        .target(name: "TrafficTap", dependencies: ["XMPP", "TrafficRecording", nioCore, nioPosix]),
        .target(
            name: "Transports",
            dependencies: ["XMPP", "SeededRandom", "Blocks", "STANAG5066", "TLS", nioCore, nioPosix, deque, logging]),
        .target(name: "Store", dependencies: ["XMPP", "Outbox", "CShims", nioCore, nioLocks, grdb, sqlite]),
        .target(
            name: "Admin",
            dependencies: [
                nioCore, nioPosix, nioHTTP1, nioLocks, hummingbird, hummingbirdCore, lifecycle, logging,
            ]),
        .target(name: "LinkCatalogue", dependencies: ["HFNode", "STANAG5066", "ConfigurationText", nioCore]),
        .target(
            name: "RadioSimulator", dependencies: ["LinkCatalogue", "HFNode", "STANAG5066", "SeededRandom", nioCore, deque]),

        // Run
        .target(
            name: "Bridge",
            dependencies: [
                "XMPP", "Profiles", "ServerStreams", "Outbox", "PresenceCache", "Blocks", "LocalAnswers", "STANAG5066", "BridgeCore", "TLS",
                "Transports",
                "Store", "Admin", "ConfigurationText", "CShims", nioCore, nioPosix, logging, lifecycle,
            ]),
        .target(
            name: "LinkSimulator",
            dependencies: [
                "XMPP", "SeededRandom", "ServerStreams", "Outbox", "PresenceCache", "Blocks", "BridgeCore", "STANAG5066", "HFNode",
                "LinkCatalogue", "RadioSimulator", nioCore, deque,
            ]),
        .target(
            name: "HFNodeServer",
            dependencies: ["RadioSimulator", "LinkCatalogue", "HFNode", "STANAG5066", nioCore, nioPosix]),
        .executableTarget(
            name: "skywave-sim",
            dependencies: [
                "LinkSimulator", "HFNodeServer", "RadioSimulator", "LinkCatalogue", "HFNode", "STANAG5066",
                "ConfigurationText", nioCore, arguments, unixSignals,
            ]),
        .executableTarget(
            name: "skywave",
            dependencies: [
                "Bridge", "Profiles", "TrafficMeasurement", "TrafficRecording", "TrafficTap", "ConfigurationText", "Blocks",
                "STANAG5066", "Transports", "Store", "TLS", "Admin", "XMPP", nioCore, nioPosix, arguments, logging, lifecycle,
                unixSignals,
            ]),

        // Measurement
        .target(name: "CAllocationCounter", path: "Sources/Benchmarks/CAllocationCounter"),
        .target(
            name: "SampleTraffic", dependencies: ["TrafficRecording", "XMPP", "SeededRandom", nioCore],
            path: "Sources/Benchmarks/SampleTraffic"),
        .executableTarget(
            name: "skywave-bench",
            dependencies: [
                "XMPP", "SeededRandom", "Outbox", "PresenceCache", "Blocks", "BridgeCore", "Profiles", "Store", "SampleTraffic",
                "TrafficRecording", "CAllocationCounter", "CExpat", nioCore, nioPosix, arguments,
            ], path: "Sources/Benchmarks/skywave-bench"),
        .executableTarget(
            name: "skywave-load", dependencies: ["SampleTraffic", "TLS", nioCore, nioPosix, arguments],
            path: "Sources/Benchmarks/skywave-load"),

        // Tests
        .target(name: "TestSupport", dependencies: ["XMPP", "SeededRandom", nioCore], path: "Tests/Support"),
        .testTarget(
            name: "XMPPTests", dependencies: ["TrafficRecording", "XMPP", "SeededRandom", "TestSupport", "SampleTraffic", nioCore]),
        .testTarget(name: "ConfigurationTextTests", dependencies: ["ConfigurationText"]),
        .testTarget(
            name: "ProfilesTests",
            dependencies: ["Profiles", "ConfigurationText", "XMPP", "TestSupport", "SampleTraffic", nioCore],
            resources: [.copy("Fixtures")]),
        .testTarget(name: "ServerStreamsTests", dependencies: ["ServerStreams", "XMPP", "TLS", "TestSupport", nioCore]),
        .testTarget(name: "OutboxTests", dependencies: ["Outbox", "XMPP", "TestSupport", nioCore]),
        .testTarget(
            name: "PresenceCacheTests", dependencies: ["PresenceCache", "Outbox", "XMPP", "TestSupport", nioCore]),
        .testTarget(
            name: "IdentifierFoldingTests",
            dependencies: ["IdentifierFolding", "Outbox", "XMPP", "TestSupport", nioCore]),
        .testTarget(
            name: "LocalAnswersTests", dependencies: ["LocalAnswers", "XMPP", "TestSupport", nioCore]),
        .testTarget(name: "BlocksTests", dependencies: ["Blocks", "XMPP", "TestSupport", "SampleTraffic", nioCore]),
        .testTarget(
            name: "BridgeCoreTests",
            dependencies: [
                "BridgeCore", "Profiles", "ServerStreams", "Outbox", "Blocks", "LocalAnswers", "PresenceCache", "XMPP", "TestSupport",
                "STANAG5066", "HFNode",
                "LinkCatalogue", "RadioSimulator",
                nioCore,
            ]),
        .testTarget(
            name: "TrafficRecordingTests",
            dependencies: ["TrafficRecording", "XMPP", "TestSupport", "SampleTraffic", nioCore]),
        .testTarget(
            name: "TrafficTapTests",
            dependencies: ["TrafficTap", "TrafficRecording", "XMPP", "TestSupport", nioCore, nioPosix]),
        .testTarget(name: "STANAG5066Tests", dependencies: ["STANAG5066", "XMPP", "TestSupport", nioCore]),
        .testTarget(name: "HFNodeTests", dependencies: ["HFNode", "STANAG5066", "SeededRandom", nioCore]),
        .testTarget(
            name: "LinkCatalogueTests",
            dependencies: ["LinkCatalogue", "HFNode", "STANAG5066", "ConfigurationText", nioCore]),
        .testTarget(
            name: "RadioSimulatorTests",
            dependencies: ["RadioSimulator", "LinkCatalogue", "HFNode", "STANAG5066", "SeededRandom", nioCore]),
        .testTarget(
            name: "HFNodeServerTests",
            dependencies: ["HFNodeServer", "RadioSimulator", "LinkCatalogue", "HFNode", "STANAG5066", "TestSupport", nioCore, nioPosix]),
        .testTarget(name: "TLSTests", dependencies: ["TLS", "XMPP", "TestSupport", nioCore, nioPosix, nioEmbedded]),
        .testTarget(
            name: "TransportsTests",
            dependencies: [
                "Transports", "TLS", "Blocks", "STANAG5066", "HFNode", "LinkCatalogue", "RadioSimulator", "HFNodeServer", "XMPP",
                "TestSupport", nioCore, nioPosix, nioEmbedded, nioLocks, logging,
            ]),
        .target(name: "CFaultyFiles", path: "Tests/CFaultyFiles", linkerSettings: [.linkedLibrary("sqlite3")]),
        .testTarget(
            name: "StoreTests",
            dependencies: ["Store", "CFaultyFiles", "Outbox", "XMPP", "TestSupport", nioCore, nioPosix, grdb]),
        .testTarget(name: "AdminTests", dependencies: ["Admin", nioCore, nioPosix, nioHTTP1, lifecycle, logging]),
        .testTarget(
            name: "BridgeTests",
            dependencies: [
                "Bridge", "Profiles", "ConfigurationText", "BridgeCore", "Store", "TLS", "XMPP", "ServerStreams", "STANAG5066",
                "Transports",
                "TestSupport", nioCore, nioPosix, logging,
            ]),
        .testTarget(
            name: "TrafficMeasurementTests",
            dependencies: ["TrafficMeasurement", "Blocks", "TrafficRecording", "Profiles", "XMPP", nioCore]),
        .testTarget(name: "SimulationTests", dependencies: ["LinkSimulator", "skywave-sim", "TestSupport"]),
        .testTarget(name: "IntegrationTests", dependencies: ["TestSupport", nioCore, nioPosix]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

// Fuzz entry points link libFuzzer's own `main`, so they exist only when `make fuzz` asks for them.
if ProcessInfo.processInfo.environment["SKYWAVE_FUZZ"] != nil {
    package.targets.append(.target(name: "FuzzDriver", path: "Tests/Fuzz/Driver"))
    for (name, dependencies) in [
        ("FuzzXMLReader", ["XMPP", "TestSupport"]), ("FuzzLinkReader", ["XMPP", "Blocks", "TestSupport"]),
        ("FuzzBlockReader", ["XMPP", "Blocks", "TestSupport"]),
        ("FuzzDialback", ["XMPP", "ServerStreams", "TLS", "TestSupport"]), ("FuzzSIS", ["STANAG5066"]),
        ("FuzzRCOP", ["STANAG5066", "XMPP", "TestSupport"]),
    ] as [(String, [Target.Dependency])]
    where FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/Tests/Fuzz/\(name)") {
        package.targets.append(
            .executableTarget(
                name: name, dependencies: dependencies + ["FuzzDriver", nioCore], path: "Tests/Fuzz/\(name)",
                swiftSettings: [.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"])],
                linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]))
    }
}

let warningsAreErrors = ProcessInfo.processInfo.environment["SKYWAVE_STRICT"] != nil
for target in package.targets where target.type != .system {
    guard !["CShims", "CAllocationCounter", "CFaultyFiles"].contains(target.name) else { continue }
    var settings = target.swiftSettings ?? []
    settings += [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .enableUpcomingFeature("InferIsolatedConformances"),
        .strictMemorySafety(),
    ]
    if warningsAreErrors {
        settings.append(.treatAllWarnings(as: .error))
    }
    target.swiftSettings = settings
}
