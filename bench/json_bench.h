/* One JSON library behind two calls, so that each can be linked into a program of its own:
 * json-glib, jansson and json-c share symbol names. */
#ifndef MNK_BENCH_JSON_BENCH_H
#define MNK_BENCH_JSON_BENCH_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const char *const json_bench_library; /* name and version */

/* Parses, reads the member "type" and, where present, the string "image_base64", frees. Returns the
 * sum of the two lengths; 0 when the text does not parse. */
size_t json_bench_parse(const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif
