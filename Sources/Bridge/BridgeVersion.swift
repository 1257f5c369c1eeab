/// The version of this software; `CHANGELOG.md` says what each one brought.
package enum BridgeVersion {
    package static let current = "0.1.0"
}
