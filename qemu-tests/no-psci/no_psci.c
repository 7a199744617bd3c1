// SPDX-License-Identifier: GPL-2.0-only
/*
 * A board without PSCI, for tests
 *
 * While this is loaded, nobody finds PSCI in the device tree. What Linux has
 * found there before goes on. QEMU writes the node anew at each boot, so that
 * a device tree without it is not to be had.
 */

#include <linux/module.h>
#include <linux/of.h>

static struct device_node *no_psci_node;
static struct property no_psci_compatible;

static int __init no_psci_init(void)
{
	struct property *property;
	int ret;

	no_psci_node = of_find_node_by_path("/psci");
	property = of_find_property(no_psci_node, "compatible", NULL);
	if (!property) {
		of_node_put(no_psci_node);
		return -ENODEV;
	}
	/* The one that is removed stays in the node's list of dead ones. */
	no_psci_compatible.name = property->name;
	no_psci_compatible.length = property->length;
	no_psci_compatible.value = property->value;
	ret = of_remove_property(no_psci_node, property);
	if (ret)
		of_node_put(no_psci_node);
	return ret;
}
module_init(no_psci_init);

static void __exit no_psci_exit(void)
{
	/* The module is gone soon: its memory must not be in the tree. */
	struct property *property = kmemdup(&no_psci_compatible, sizeof(*property), GFP_KERNEL);

	if (!property || of_add_property(no_psci_node, property))
		pr_err("PSCI is lost until the next boot\n");
	of_node_put(no_psci_node);
}
module_exit(no_psci_exit);

MODULE_DESCRIPTION("A board without PSCI, for tests");
MODULE_LICENSE("GPL");
