/// What the fuzz entries share: how libFuzzer's driver is started and given one property to check.
package enum FuzzDriver {
    // libFuzzer calls a C function, which can capture nothing. Set once, before the driver starts.
    nonisolated(unsafe) fileprivate static var violation: (([UInt8]) -> String?)?

    /// Fuzzes until the driver has had enough, and returns its exit status.
    ///
    /// The package manager gives an executable's entry point a name of its own, under which libFuzzer has none; so each
    /// entry exports a `NAME_main` that calls this with what it was given.
    ///
    /// - Parameter violation: what does not hold for one input, or nil. A violated property stops the run, and the fuzzer
    ///   keeps the input.
    package static func run(
        _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
        violation: @escaping ([UInt8]) -> String?
    ) -> CInt {
        unsafe Self.violation = violation
        var count = count
        var arguments = unsafe arguments
        return unsafe runFuzzer(&count, &arguments, fuzzOneInput)
    }
}

private func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe Array(UnsafeBufferPointer(start: data, count: size))
    if let violation = unsafe FuzzDriver.violation?(input) {
        fatalError(violation)
    }
    return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ oneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt
