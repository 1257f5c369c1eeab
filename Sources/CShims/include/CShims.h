// Static-inline wrappers for macros and variadic functions that Swift cannot import.
#pragma once
#include "FileShims.h"
#include "OpenSSLShims.h"
