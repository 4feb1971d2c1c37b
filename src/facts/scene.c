#include "facts/facts.h"

static gpointer copy_fact(gconstpointer fact, gpointer user) {
  return mnk_fact_copy(fact);
}

MnkScene *mnk_scene_copy(const MnkScene *scene) {
  MnkScene *copy = g_new(MnkScene, 1);
  *copy = *scene;
  copy->facts = g_ptr_array_copy(scene->facts, copy_fact, NULL);
  g_ptr_array_set_free_func(copy->facts, (GDestroyNotify)mnk_fact_free);
  return copy;
}

void mnk_scene_free(MnkScene *scene) {
  if (scene == NULL)
    return;
  g_ptr_array_unref(scene->facts);
  g_free(scene);
}
