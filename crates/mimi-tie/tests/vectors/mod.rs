//! Test vectors of RFC 9578 (token type 0x0001) and RFC 9497 (VOPRF with P384-SHA384), as hexadecimal digits.

#![allow(dead_code, clippy::unwrap_used)]

/// Octets from hexadecimal digits.
pub fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

pub struct Issuance {
    pub secret: &'static str,
    pub public: &'static str,
    pub challenge: &'static str,
    pub nonce: &'static str,
    pub blind: &'static str,
    pub request: &'static str,
    pub response: &'static str,
    pub token: &'static str,
}

pub struct Suite {
    pub seed: &'static str,
    pub key_info: &'static str,
    pub secret: &'static str,
    pub proof_random: &'static str,
    pub evaluations: [Evaluation; 2],
}

pub struct Evaluation {
    pub input: &'static str,
    pub blind: &'static str,
    pub blinded: &'static str,
    pub evaluated: &'static str,
    pub proof: &'static str,
    pub output: &'static str,
}

/// RFC 9578, appendix B.1.
pub const RFC_9578_TYPE_1: [Issuance; 5] = [
    Issuance {
        secret: "39b0d04d3732459288fc5edb89bb02c2aa42e06709f201d6c518871d518114910bee3c919bed1bbffe3f\
                 c1b87d53240a",
        public: "02d45bf522425cdd2227d3f27d245d9d563008829252172d34e48469290c21da1a46d42ca38f7beabdf0\
                 5c074aee1455bf",
        challenge: "0001000e6973737565722e6578616d706c65205de58a52fcdaef25ca3f65448d04e040fb1924e8264\
                    acfccfc6c5ad451d582b3000e6f726967696e2e6578616d706c65",
        nonce: "6aa422c41b59d3e44a136dd439df2454e3587ee5f3697798cdc05fafe73073b8",
        blind: "8e7fd80970b8a00b0931b801a2e22d9903d83bd5597c6a4dc1496ed2b17ef820445ef3bd223f3ab2c4f54\
                c5d1c956909",
        request: "0001f4030ab3e23181d1e213f24315f5775983c678ce22eff9427610832ab3900f2cd12d6829a07ec8a\
                  6813cf0b5b886f4cc4979",
        response: "036bb3c5c397d88c3527cf9f08f1fe63687b867e85c930c49ee2c222408d4903722a19ff272ac97e37\
                   25b947c972784ebfe86eb9ea54336e4334ea9660212c0c85fbadfbf491a1ce2446fc3379337fccd45c\
                   1059b2bc760110ee1ec227d8e01c9f482c00c47ffa0dbe2fb58c32dde2b1dbe69fff920a528e68dd9b\
                   3c2483848e57c30542b8984fa6bfecd6d71d54d53eda",
        token: "00016aa422c41b59d3e44a136dd439df2454e3587ee5f3697798cdc05fafe73073b8501370b494089dc46\
                2802af545e63809581ee6ef57890a12105c28368169514bf260d0792bf7f46c9866a6d37c3032d8714415\
                f87f5f6903d7fb071e253be2f4e0a835d76528b8444f73789ee7dc90715b01c17902fd87375c00a7a9d3d\
                92540437f470773be20f71e721da3af40edeb",
    },
    Issuance {
        secret: "39efed331527cc4ddff9722ab5cd35aeafe7c27520b0cfa2eedbdc298dc3b12bc8298afcc46558af1e2e\
                 eacc5307d865",
        public: "038017e005904c6146b37109d6c2a72b95a183aaa9ed951b8d8fb1ed9033f68033284d175e7df8984947\
                 5cd67a86bfbf4e",
        challenge: "0001000e6973737565722e6578616d706c6500000e6f726967696e2e6578616d706c65",
        nonce: "7617bc802cfdb5d74722ef7418bdbb4f2c88403820e55fe7ec07d3190c29d665",
        blind: "6492ee50072fa18d035d69c4246362dffe2621afb95a10c033bb0109e0f705b0437c425553272e0aa5266\
                ec379e7015e",
        request: "000133033a5fe04a39da1bbfb68ccdeecd1917474dd525462e5a90a6ba53b42aaa1486fe443a2e1c7f3\
                  fd5ff028a1c7cf1aeac5d",
        response: "023bf8cd624880d669c5cc6c88b056355c6e8e1bcbf3746cfb9ab9248a4c056f23a4876ef998a8b6b2\
                   81d50f852c6fa868fc4fa135c79ccb5fbdf8bf3c926e10c7c12f934a887d86da4a4e5be70f5a169aa7\
                   5720887bb69053692a8f11f9cda7a72f281e4e3568e848225367946c70db09e718e3cba16193987bc1\
                   0bede3ef54c4d036c17cd4015bb113be60d7aa927e0d",
        token: "00017617bc802cfdb5d74722ef7418bdbb4f2c88403820e55fe7ec07d3190c29d665c994f7d5cdc2fb970\
                b13d4e8eb6e6d8f9dcdaa65851fb091025dfe134bd5a62a116477bc9e1a205cca95d0c92335ca7a3e7106\
                3b2ac020bdd231c66097f12333ef438d00801bca5ace0fab8eb483dc04cd62578b95b5652921cd2698c45\
                ea74f6c8827b4e19f01140fa5bd039866f562",
    },
    Issuance {
        secret: "2b7709595b62b784f14946ae828f65e6caeba6eefe732c86e9ae50e818c055b3d7ca3a5f2beecaa859a6\
                 2ff7199d35cc",
        public: "03a0de1bf3fd0a73384283b648884ba9fa5dee190f9d7ad4292c2fd49d8b4d64db674059df67f5bd7e62\
                 6475c78934ae8d",
        challenge: "0001000e6973737565722e6578616d706c65000017666f6f2e6578616d706c652c6261722e6578616\
                    d706c65",
        nonce: "87499b5930918d2d83ecebf92d25ca0722aa11b80dbbfd950537c28aa7d3a9df",
        blind: "1f659584626ba15f44f3d887b2e5fe4c27315b185dfbfaea4253ebba30610c4d9b73c78714c142360e85a\
                00942c0fcff",
        request: "0001c8024610a9f3aac21090f3079d6809437a2b94b4403c7e645f849bc6c505dade154c258c8ecd4d2\
                  bdcf574daca65db671908",
        response: "03c2ab925d03e7793b4a4df6eb505210139f620359e1424491b8143c06a3e5298b25b662c33256411b\
                   e7277233e1a34570f7a4d142d931e4b5ff8829e27aaf7eb2cc7f9ab655477d71c01d5da5aef44dd076\
                   b5820b4710ef025a9e6c6b50a95af6105c5987c1b834d615008cf6370556ed00c6671e69776c09a92b\
                   5ac84804750dd867c78817bdf69f1443002b18ae7a52",
        token: "000187499b5930918d2d83ecebf92d25ca0722aa11b80dbbfd950537c28aa7d3a9df1949fd455872478ba\
                87e2e6c513c3261cddbe57220581245e4c9c911dd1c0bb865785bff8f3cfe08cccbb3a7b8e41d23a17287\
                1be4828cc54582d87bc7cfc5c8bcedc1868ebc845b000c317ed75312274a42b10be6db23bd8a168fd2f02\
                1c23925d72c4d14cd7588c03845da0d41a326",
    },
    Issuance {
        secret: "22e237b7b983d77474e4495aff2fc1e10422b1d955192e0fbf2b7b618fba625fcb94b599da9113da49c4\
                 95a48fbf7f7f",
        public: "028cd68715caa20d19b2b20d017d6a0a42b9f2b0a47db65e5e763e23744fe14d74e374bbc93a2ec3970e\
                 b53c8aa765ee21",
        challenge: "0001000e6973737565722e6578616d706c65000000",
        nonce: "02f0a206752d555a24924f2da5942a1bb4cb2d83ff473aa8b2bc3a89e820cd43",
        blind: "af91d1dbcf6b46baecde70eb305b8fe75629199cca19c7f9344b8607b90def27bc53e0345ade32c9fd0a1\
                efda056d1c0",
        request: "0001a503632ebb003ed15b6de4557c047c7f81a586881433312ad3ad7f9416f2dfc940d3f439ad1e8cd\
                  677d94ae7c05bc958d134",
        response: "032018bc3f180d9650e27f72de76a90b47e336ae9cb058548d851c7046fa0875d96346c15cb39d8083\
                   cc6fb57216544c6a815c37d792769e129c0513ce2034c3286cb212548f4aed1b0f71b28e219a71874a\
                   93e53ab2f47328271d1e9cbefc197a4f599a6825051fa1c6e55450042f04182b86c9cf12477a9f1684\
                   9396c051fa27012e81a86e6c4a9204a063f1e1722dd7",
        token: "000102f0a206752d555a24924f2da5942a1bb4cb2d83ff473aa8b2bc3a89e820cd43085cb06952044c765\
                5b412ab7d484c97b97c48c79c568140b8d49a02ca47a9cfb0a5cfb861290c4dbd8fd9b60ee9b1a1a54cf4\
                7c98531fe253f1ed6d875de5a58f42db12b540b0d11bc5d6b42e6d17c2b73e98631e54d40fd2901ebec42\
                68668535b03cbf76f7f15a29d623a64cab0c4",
    },
    Issuance {
        secret: "46f3d4f562002b85ffcfdb4d06835fb9b2e24372861ecaa11357fd1f29f9ed26e44715549ccedeb39257\
                 f095110f0159",
        public: "02fbe9da0b7cabe3ec51c36c8487b10909142b59af030c728a5e87bb3b30f54c06415d22e03d9212bd3d\
                 9a17d5520d4d0f",
        challenge: "0001000e6973737565722e6578616d706c65205de58a52fcdaef25ca3f65448d04e040fb1924e8264\
                    acfccfc6c5ad451d582b30000",
        nonce: "9ee54942d8a1604452a76856b1bfaf1cd608e1e3fa38acfd9f13e84483c90e89",
        blind: "76e0938e824b6cda6c163ff55d0298d539e222ed3984f4e31bbb654a8c59671d4e0a7e264ca758cd0f4b5\
                33e0f60c5aa",
        request: "0001e10202bc92ac516c867f39399d71976018db52fcab5403f8534a65677ba9e1e7d9b1d01767d1378\
                  84c86cf5fe698c2f5d8e9",
        response: "0322ea3856a71533796393229b33d33c02cd714e40d5aa4e071f056276f32f89c09947eca8ff119d94\
                   0d9d57c2fcbd83d2da494ddeb37dc1f678e5661a8e7bcc96b3477eb89d708b0ce10e0ea1b5ce0001f9\
                   332f743c0cc3d4748233fea6d3152fae7844821268eb96ba491f60b1a3a848849310a39e9ef5912166\
                   9aa5d5dbb4b4deb532d2f907a01c5b39efaf23985080",
        token: "00019ee54942d8a1604452a76856b1bfaf1cd608e1e3fa38acfd9f13e84483c90e89d4380df12a1727f4e\
                2ca1ee0d7abea0d0fb1e9506507a4dd618f9b87e79f9f3521a7c9134d6722925bf622a994041cdb1b082c\
                df1309af32f0ce00ca1dab63e1b603747a8a5c3b46c7c2853de5ec7af8cac7cf3e089cecdc9ed3ff05cd2\
                4504fe4f6c52d24ac901471267d8b63b61e6b",
    },
];

/// RFC 9497, appendix A.4.2, the vectors of one input.
pub const RFC_9497_VOPRF_P384: Suite = Suite {
    seed: "a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3",
    key_info: "74657374206b6579",
    secret: "051646b9e6e7a71ae27c1e1d0b87b4381db6d3595eeeb1adb41579adbf992f4278f9016eafc944edaa2b4318\
             3581779d",
    proof_random: "803d955f0e073a04aa5d92b3fb739f56f9db001266677f62c095021db018cd8cbb55941d4073698ce4\
                   5c405d1348b7b1",
    evaluations: [
        Evaluation {
            input: "00",
            blind: "504650f53df8f16f6861633388936ea23338fa65ec36e0290022b48eb562889d89dbfa691d1cde915\
                    17fa222ed7ad364",
            blinded: "02d338c05cbecb82de13d6700f09cb61190543a7b7e2c6cd4fca56887e564ea82653b27fdad3839\
                      95ea6d02cf26d0e24d9",
            evaluated: "02a7bba589b3e8672aa19e8fd258de2e6aae20101c8d761246de97a6b5ee9cf105febce4327a3\
                        26255a3c604f63f600ef6",
            proof: "bfc6cf3859127f5fe25548859856d6b7fa1c7459f0ba5712a806fc091a3000c42d8ba34ff45f32a52\
                    e40533efd2a03bc87f3bf4f9f58028297ccb9ccb18ae7182bcd1ef239df77e3be65ef147f3acf8bc9\
                    cbfc5524b702263414f043e3b7ca2e",
            output: "3333230886b562ffb8329a8be08fea8025755372817ec969d114d1203d026b4a622beab60220bf19\
                     078bca35a529b35c",
        },
        Evaluation {
            input: "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
            blind: "504650f53df8f16f6861633388936ea23338fa65ec36e0290022b48eb562889d89dbfa691d1cde915\
                    17fa222ed7ad364",
            blinded: "02f27469e059886f221be5f2cca03d2bdc61e55221721c3b3e56fc012e36d31ae5f8dc058109591\
                      556a6dbd3a8c69c433b",
            evaluated: "03f16f903947035400e96b7f531a38d4a07ac89a80f89d86a1bf089c525a92c7f4733729ca30c\
                        56ce78b1ab4f7d92db8b4",
            proof: "d005d6daaad7571414c1e0c75f7e57f2113ca9f4604e84bc90f9be52da896fff3bee496dcde2a578a\
                    e9df315032585f801fb21c6080ac05672b291e575a40295b306d967717b28e08fcc8ad1cab47845d1\
                    6af73b3e643ddcc191208e71c64630",
            output: "b91c70ea3d4d62ba922eb8a7d03809a441e1c3c7af915cbc2226f485213e895942cd0f8580e6d99f\
                     82221e66c40d274f",
        },
    ],
};
