import FuzzDriver

@_cdecl("FuzzSIS_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    unsafe FuzzDriver.run(count, arguments, violation: SISProperties.violation(in:))
}
