/* base: what everything stands on. No I/O but log lines and configuration files. */
#ifndef MNK_BASE_H
#define MNK_BASE_H

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/paths.h"
#include "base/queue.h"

#endif
