import FuzzDriver

@_cdecl("FuzzBlockReader_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    unsafe FuzzDriver.run(count, arguments, violation: BlockReaderProperties.violation(in:))
}
