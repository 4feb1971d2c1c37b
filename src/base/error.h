/* Errors: one GError domain for the whole program.
 *
 * Every code has one exit status and one HTTP status, from one table in error.c, so that the
 * command line and the server say the same thing about the same failure. A message is one clear
 * sentence that names what was wrong, without a full stop. */
#ifndef MNK_BASE_ERROR_H
#define MNK_BASE_ERROR_H

#include <glib.h>

#define MNK_ERROR (mnk_error_quark())
GQuark mnk_error_quark(void);

typedef enum {
  MNK_ERROR_INTERNAL,    /* a fault of ours */
  MNK_ERROR_USAGE,       /* unknown option or command, value out of range */
  MNK_ERROR_CONFIG,      /* bad configuration file */
  MNK_ERROR_NOT_FOUND,   /* no such file, stream, camera or model name */
  MNK_ERROR_BAD_INPUT,   /* bytes from outside that do not parse: media, JSON, image, ... */
  MNK_ERROR_UNSUPPORTED, /* well formed, but nothing here can read it (codec, operator) */
  MNK_ERROR_LIMIT,       /* over a stated limit; the message names the limit */
  MNK_ERROR_SOURCE,      /* camera or network source: refused, unreachable, busy, died */
  MNK_ERROR_STORE,       /* database: locked, read-only, disk full, corrupt, newer version */
  MNK_ERROR_MODEL,       /* model file or runtime missing, damaged or refused */
  MNK_ERROR_WORKER,      /* the worker process cannot be kept alive */
  MNK_ERROR_OUTPUT,      /* the result could not be written (closed pipe, full disk) */
  MNK_ERROR_CANCELLED,   /* stopped by the user */
  MNK_ERROR_N,
} MnkErrorCode;

/* The process's exit status for an error; documented in docs/exit-codes.md. An error of another
 * domain counts as MNK_ERROR_INTERNAL. NULL gives 0. */
int mnk_error_exit_code(const GError *error);

/* The HTTP status for an error, for the API. NULL gives 200. */
int mnk_error_http_status(const GError *error);

/* Short stable name such as "not_found"; used in JSON and in the docs check. */
const char *mnk_error_code_name(MnkErrorCode code);
/* One phrase on when it happens, for docs and --help. */
const char *mnk_error_code_help(MnkErrorCode code);
int mnk_error_code_exit(MnkErrorCode code);
gboolean mnk_error_code_from_name(const char *name, MnkErrorCode *code);
/* docs/exit-codes.md, whole; appended. */
void mnk_errors_write_markdown(GString *out);

#endif
