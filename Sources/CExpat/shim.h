// The entity amplification limits are declared only where XML_DTD is defined.
#define XML_DTD 1
#include <expat.h>
