/* From JSON and back; and bytes that are no JSON as an observation: what is written is always
 * read. */
#include "fuzz.h"

#include "wire/observation.h"

#include <string.h>

static gboolean read_observation(const char *text, gsize size, MnkObservation *out) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, size, NULL, NULL);
  return json && mnk_observation_read_json(mnk_json_root(json), out, NULL);
}

static void check_round_trip(const MnkObservation *obs) {
  MnkObservation back;
  g_autoptr(GString) first = g_string_new(NULL), second = g_string_new(NULL);
  mnk_observation_write_json(obs, first);
  g_assert(read_observation(first->str, first->len, &back));
  mnk_observation_write_json(&back, second);
  g_assert(g_string_equal(first, second));
}

/* Bytes over all text and number fields of an observation, as a worker gone wrong would fill it. */
static void check_bytes(const guint8 *data, gsize size) {
  MnkObservation obs = {.type = MNK_OBS_FRAME, .motion = {.valid = TRUE}, .n_texts = 2};
  memcpy(&obs.change, data, MIN(size, sizeof obs.change));
  memcpy(&obs.motion.dx, data, MIN(size, sizeof obs.motion.dx));
  memcpy(obs.texts, data, MIN(size, sizeof obs.texts));
  obs.n_objects = (guint)size;
  memcpy(obs.objects, data, MIN(size, sizeof obs.objects));
  check_round_trip(&obs);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  MnkObservation obs;
  if (size > 0 && data[0] != '{')
    check_bytes(data, size);
  else if (read_observation((const char *)data, size, &obs))
    check_round_trip(&obs);
  return 0;
}
