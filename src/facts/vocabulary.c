/* Vocabulary: look-ups in the concept table. */
#include "facts/vocabulary_priv.h"

#include <stdlib.h>
#include <string.h>

static int compare_name(const void *name, const void *concept) {
  return strcmp(name, ((const MnkConcept *)concept)->name);
}

const MnkConcept *mnk_vocabulary_find(const char *name) {
  if (name == NULL)
    return NULL;
  return bsearch(name, mnk_vocabulary_table, mnk_vocabulary_n, sizeof(MnkConcept), compare_name);
}

guint mnk_vocabulary_size(void) {
  return mnk_vocabulary_n;
}

const MnkConcept *mnk_vocabulary_at(guint index) {
  return index < mnk_vocabulary_n ? &mnk_vocabulary_table[index] : NULL;
}

/* MNK_NO_CONCEPT is past the end of any table that 16 bits can index. */
const MnkConcept *mnk_vocabulary_imagenet(guint index) {
  return index < MNK_IMAGENET_N ? mnk_vocabulary_at(mnk_vocabulary_imagenet_table[index]) : NULL;
}

const MnkConcept *mnk_vocabulary_coco(guint index) {
  return index < MNK_COCO_N ? mnk_vocabulary_at(mnk_vocabulary_coco_table[index]) : NULL;
}

/* Ends: the generator refuses a concept that is broader than itself. */
gboolean mnk_concept_is_a(const char *a, const char *b) {
  if (a == NULL || b == NULL)
    return FALSE;
  for (const MnkConcept *at = mnk_vocabulary_find(a); at != NULL;
       at = mnk_vocabulary_find(at->broader))
    if (strcmp(at->name, b) == 0)
      return TRUE;
  return FALSE;
}
