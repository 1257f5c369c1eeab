import FuzzDriver

@_cdecl("FuzzLinkReader_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    unsafe FuzzDriver.run(count, arguments, violation: LinkReaderProperties.violation(in:))
}
