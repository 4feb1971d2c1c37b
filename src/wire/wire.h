/* wire: parsers and writers as pure functions over bytes; no I/O, no threads. */
#ifndef MNK_WIRE_H
#define MNK_WIRE_H

#include "wire/address.h"
#include "wire/base64.h"
#include "wire/caption.h"
#include "wire/json.h"
#include "wire/observation.h"
#include "wire/probe.h"
#include "wire/push.h"
#include "wire/sse.h"
#include "wire/utf8.h"

#endif
