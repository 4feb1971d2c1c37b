/* base: what everything stands on. No I/O but log lines, configuration files and words to the
 * service manager. */
#ifndef MNK_BASE_H
#define MNK_BASE_H

#include "base/buffer.h"
#include "base/clock.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/paths.h"
#include "base/queue.h"
#include "base/service.h"

#endif
