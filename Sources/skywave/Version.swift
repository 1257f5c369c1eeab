import ArgumentParser
import Bridge

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints the version.")

    func run() {
        print("skywave \(BridgeVersion.current)")
    }
}
