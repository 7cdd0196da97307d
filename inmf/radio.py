"""V2V radio: path loss and spectral efficiency, with the constants of the case study."""

import numpy as np

from twintier.inmf.spec import Array

CARRIER_GHZ = 6.0
TRANSMIT_POWER_DBM = 23.0
NOISE_DBM = -104.0


def path_loss_db(distance_m: Array) -> Array:
    """Line-of-sight loss: 32.4 + 20 log10 d[m] + 20 log10 f_c[GHz]."""
    loss_db: Array = 32.4 + 20.0 * np.log10(distance_m) + 20.0 * np.log10(CARRIER_GHZ)
    return loss_db


_SNR_AT_1_M = 10.0 ** ((TRANSMIT_POWER_DBM - path_loss_db(np.ones(())) - NOISE_DBM) / 10.0)


def spectral_efficiency(distance_m: Array, noise_rise_db: Array) -> Array:
    """Shannon bound in bit/s/Hz at a distance, with the noise floor raised."""
    snr = _SNR_AT_1_M / (distance_m * distance_m * 10.0 ** (np.asarray(noise_rise_db) / 10.0))
    efficiency: Array = np.log2(1.0 + snr)
    return efficiency
